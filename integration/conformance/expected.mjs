// What is expected of each test: a text file with a line a test, sorted by the test's name.
import { isGood } from './outcomes.mjs'

const HEAD = '# What comes of each test of http-cache-tests: its name, its kind, the outcome. `run --update` writes this file.\n'

/** The file's text for these outcomes. */
export function format (found) {
  const lines = found.map(({ test, outcome }) => `${test.id} ${test.tally.replace(' ', '-')} ${outcome}\n`)
  return HEAD + lines.sort().join('')
}

/** Outcomes by the names of their tests. */
export function parse (text) {
  const lines = text.split('\n').filter(line => line && !line.startsWith('#'))
  return new Map(lines.map(line => line.split(' ')).map(([id, , outcome]) => [id, outcome]))
}

/** What is not as expected, a change a test. */
export function compare (expected, found) {
  const changed = found.filter(row => row.outcome !== expected.get(row.test.id)).map(row => change(row, expected.get(row.test.id)))
  const known = new Set(found.map(({ test }) => test.id))
  const gone = [...expected.keys()].filter(id => !known.has(id)).map(id => ({ worse: true, text: `${id}: the suite has no such test` }))
  return [...changed, ...gone]
}

/**
 * A test that passed and no longer does is worse, and so is one that merely asks and finds something else: what is so of Verge
 * changes on purpose, or not at all. One of which nothing is known yet, of a newer suite, is worse if it is required and fails.
 */
function change ({ test, outcome, said }, before) {
  const worse = before === undefined ? test.kind === 'required' && outcome !== 'pass' : test.kind === 'check' || outcome !== 'pass'
  return { worse, text: `${test.id} (${test.tally}) was ${before ?? 'unknown'}, is ${outcome}${said && `: ${said}`}` }
}

export function isWorse (change) {
  return change.worse
}

/** Of two runs, what came out well in either. */
export function betterOf (first, second) {
  return first.map((row, index) => isGood(row.outcome) ? row : second[index])
}

/** The changes in words. */
export function summary (changes) {
  const worse = changes.filter(isWorse).map(change => `worse:  ${change.text}`)
  const better = changes.filter(change => !change.worse).map(change => `better: ${change.text}`)
  const advice = better.length ? ['what is better is to be written down: run --update'] : []
  return [...better, ...advice, ...worse, `${worse.length} worse, ${better.length} better than expected`].join('\n')
}
