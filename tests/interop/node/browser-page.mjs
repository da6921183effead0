// The page of browser.test.mjs: a stranger's web wallet in its smallest form.
import LnMessage from 'lnmessage'

const { nodeId, host, port, rune, scheme } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
const show = (id, text) => (document.getElementById(id).textContent = text)

const ln = new LnMessage({ remoteNodePublicKey: nodeId, ip: host, port: Number(port), wsProtocol: scheme })
try {
  await ln.connect()
  const info = await ln.commando({ method: 'getinfo', rune })
  show('alias', info.alias)
  show('id', info.id)
  await ln.commando({ method: 'listpeers', rune }).catch((error) => show('refusal', error.message))
  show('state', 'done')
} catch (error) {
  show('state', `failed: ${error.message ?? JSON.stringify(error)}`)
}
