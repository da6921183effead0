// BOLT 8 appendix A, run wherever this is imported: Node.js or a page.
import { fromHex, toHex } from '../../dist/bytes.js'
import { Initiator, NoiseError } from '../../dist/noise.js'
import { Responder } from './responder.mjs'

const ERRORS = {
  'bad version': /version 1 /,
  'bad key': /no point on the curve/,
  'bad MAC': /not sealed/,
  'short read': /./,
}

/** Every vector as a name and a function that throws where it does not pass. */
export function vectors(table) {
  const handshakes = table.handshakes.map((vector) => ({ name: vector.name, run: () => handshake(table, vector) }))
  return [...handshakes, { name: 'transport-message test', run: () => messages(table) }]
}

function same(one, other, what) {
  if (one !== other) throw new Error(`${what}: ${one} in place of ${other}`)
}

const initiatorOf = ({ initiator, responder }) =>
  new Initiator(fromHex(initiator.secret), fromHex(responder.node_id), fromHex(initiator.ephemeral))
const responderOf = ({ responder }) => new Responder(fromHex(responder.secret), fromHex(responder.ephemeral))

function handshake(table, vector) {
  let error
  try {
    if (vector.side === 'initiator') initiates(table, vector)
    else responds(table, vector)
  } catch (thrown) {
    if (!(thrown instanceof NoiseError) || vector.error === undefined) throw thrown
    error = thrown
  }
  if (vector.error !== undefined && !ERRORS[vector.error].test(error?.message)) throw new Error(`not refused: ${error}`)
}

function initiates(table, vector) {
  const side = initiatorOf(table)
  same(toHex(side.actOne), table.acts[0], 'act one')
  const transport = side.readActTwo(fromHex(vector.act_two))
  same(toHex(transport.actThree), table.acts[2], 'act three')
  const other = responderOf(table)
  other.readActOne(fromHex(table.acts[0]))
  const peer = other.readActThree(transport.actThree)
  for (const [from, to] of [
    [transport, peer],
    [peer, transport],
  ]) {
    const sealed = from.sealer.seal(Uint8Array.of(1, 2))
    same(to.opener.length(sealed.subarray(0, 18)), 2, 'length')
    same(toHex(to.opener.body(sealed.subarray(18))), '0102', 'body')
  }
}

function responds(table, vector) {
  const side = responderOf(table)
  same(toHex(side.readActOne(fromHex(vector.act_one))), table.acts[1], 'act two')
  same(toHex(side.readActThree(fromHex(vector.act_three)).peer), table.initiator.node_id, 'peer')
}

function messages(table) {
  const { message, outputs } = table['transport-message test']
  const { sealer } = initiatorOf(table).readActTwo(fromHex(table.acts[1]))
  const other = responderOf(table)
  other.readActOne(fromHex(table.acts[0]))
  const { opener } = other.readActThree(fromHex(table.acts[2]))
  let checked = 0
  for (let number = 0; number <= 1001; number++) {
    const output = sealer.seal(fromHex(message))
    if (outputs[number] !== undefined) {
      same(toHex(output), outputs[number], `output ${number}`)
      checked++
    }
    same(opener.length(output.subarray(0, 18)), 5, 'length')
    same(toHex(opener.body(output.subarray(18))), message, 'body')
  }
  same(checked, 6, 'outputs')
}
