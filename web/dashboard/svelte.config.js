// Runes mode for every component, so that none falls back to the older language by accident.
export default { compilerOptions: { runes: true } }
