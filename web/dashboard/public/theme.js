// Before the first paint: the theme that was chosen, so that a page in the other one never flashes by.
try {
  const theme = localStorage.getItem('runeward.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // No storage here: the system's theme it is.
}
