// What failed, in Markdown: what each such test sends and expects, and what client and origin saw.
import { counts } from './outcomes.mjs'
import { client } from './processes.mjs'

const CONCURRENCY = 8

// Fields that are on all messages, and say nothing about caching.
const NOISE = new RegExp('^(accept|accept-encoding|accept-language|capability-seen|client-request-count|connection|content-length' +
  '|content-type|forwarded|host|keep-alive|pragma|req-num|request-numbers|sec-fetch-mode|server-base-url|server-now|server-request-count' +
  '|test-id|test-name|transfer-encoding|user-agent|via|x-forwarded-\\w+|x-request-id): |^cache-control: nothing-to-see-here', 'i')

/** Runs each test that failed once more by itself, to see its messages, and tells all of it. */
export async function report (suite, running, found) {
  const failed = found.filter(({ test, outcome }) => test.kind !== 'check' && outcome !== 'pass')
  const sections = await eachOf(failed, row => section(suite, running, row))
  return [
    '# Failures', '', '```', counts(found), '```', '', ...groups(failed, sections),
    '# What the tests that only ask found', '', ...found.filter(({ test }) => test.kind === 'check').map(asked), ''
  ].join('\n')
}

function groups (failed, sections) {
  const names = [...new Set(failed.map(({ test }) => test.group))]
  return names.flatMap(name => [`# ${name}`, '', ...sections.filter((_, index) => failed[index].test.group === name)])
}

/** Does the work for all rows, a few at a time; the results are in the rows' order. */
async function eachOf (rows, work) {
  const done = []
  const next = rows.entries()
  const worker = async () => { for (const [index, row] of next) done[index] = await work(row) }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  return done
}

async function section (suite, running, { test, outcome, said }) {
  const before = running.origin.lines.length
  const printed = messages(await client(suite, running.base, test.id))
  const forwarded = messages(running.origin.lines.slice(before).join('\n')).filter(isRequestOf(test))
  return [
    `## \`${test.id}\` (${test.tally}): ${outcome}${said && `: ${said}`}`, '', test.name, '',
    ...(test.depends_on ? [`- depends on: ${test.depends_on.join(', ')}`] : []),
    ...(test.spec_anchors ? [`- rule: ${test.spec_anchors.join(', ')}`] : []),
    ...test.requests.flatMap((request, index) => step(request, index + 1, printed, forwarded)), ''
  ].join('\n')
}

/** One request of a test: what its author wrote, and what became of it. */
function step (request, number, printed, forwarded) {
  const { name, id, dump, ...rest } = request
  const ofClient = printed.filter(message => message.number === number).map(message => `  - ${message.who} ${message.what}: ${brief(message)}`)
  const ofOrigin = forwarded.filter(message => message.lines.includes(`req-num: ${number}`)).map(message => `  - origin saw: ${brief(message)}`)
  return [`- ${number}: \`${JSON.stringify(rest)}\``, ...ofClient.slice(0, 1), ...ofOrigin, ...ofClient.slice(1)]
}

function isRequestOf (test) {
  return message => message.what === 'request' && message.lines.includes(`test-id: ${test.id}`)
}

/** The messages that the suite printed in colour: a line that says whose it is, then its lines, then an empty one. */
function messages (printed) {
  // eslint-disable-next-line no-control-regex
  const plain = printed.replace(/\x1b\[\d*m/g, '')
  return [...plain.matchAll(/^=== (Client|Server) (request|response) (\d+)\n((?: {4}.*\n)*)/gm)].map(([, who, what, number, lines]) => ({
    who: who.toLowerCase(),
    what,
    number: Number(number),
    lines: lines.split('\n').map(line => line.trim()).filter(Boolean)
  }))
}

function brief ({ lines }) {
  const [first, ...fields] = lines
  return [first.replace(/\S*\/test\/[^/ ?]+/, ''), ...fields.filter(line => !NOISE.test(line))].map(line => `\`${line.trim()}\``).join(' ')
}

function asked ({ test, outcome, said }) {
  return `- \`${test.id}\` ${outcome}: ${test.name}${said && ` (${said})`}`
}
