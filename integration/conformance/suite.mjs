// The suite: where its parts are, which differs between its releases, and what it says of a result.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const INSTALLED = fileURLToPath(new URL('node_modules/http-cache-tests', import.meta.url))

// Where a checkout is copied to: there it finds the packages that it needs.
const COPY = fileURLToPath(new URL('node_modules/.checkout', import.meta.url))

// The suite's symbols for what came of a test. Only the symbol is public in all releases.
const OUTCOMES = {
  '✅': 'pass',
  '⛔️': 'fail',
  '⚠️': 'not-optimal',
  Y: 'yes',
  N: 'no',
  '🔹': 'setup-failed',
  '⁉️': 'harness-failed',
  '⚪️': 'dependency-failed',
  '↻': 'retried',
  '-': 'untested'
}

/** The groups whose tests are about fields for particular caches (RFC 9213, and what came before it). */
const TARGETED = ['cdn-cache-control', 'surrogate-control']

/**
 * Reads the suite in the folder `checkout`, or else the installed one.
 *
 * Its repository went on for years after the release that npm has, with other folders and other tests; `release` says which it is.
 */
export async function load (checkout) {
  const folder = checkout ? copied(checkout) : INSTALLED
  const release = fs.existsSync(path.join(folder, 'test-engine')) ? 'repository' : 'npm'
  const engine = path.join(folder, release === 'repository' ? 'test-engine' : '.')
  const results = firstOf(path.join(engine, 'lib/results.mjs'), path.join(engine, 'lib/display.mjs'))
  const { determineTestResult } = await loadModule(results)
  const groups = await tests(folder)
  return {
    folder,
    release,
    cli: path.join(engine, 'cli.mjs'),
    server: path.join(engine, 'server/server.mjs'),
    tests: groups.flatMap(group => group.tests.filter(applies).map(test => described(group, test))),
    judge: (id, results) => OUTCOMES[determineTestResult(groups, id, results)[2]]
  }
}

function copied (checkout) {
  if (!fs.existsSync(path.join(checkout, 'tests/index.mjs'))) throw new Error(`${checkout} is no checkout of http-cache-tests`)
  fs.rmSync(COPY, { recursive: true, force: true })
  fs.cpSync(checkout, COPY, { recursive: true, filter: file => !['.git', 'node_modules'].includes(path.basename(file)) })
  return COPY
}

/** All groups of tests. The oldest releases have one apart, which their command line adds. */
async function tests (folder) {
  const groups = [...(await loadModule(path.join(folder, 'tests/index.mjs'))).default]
  const apart = path.join(folder, 'tests/surrogate-control.mjs')
  return fs.existsSync(apart) ? [...groups, (await loadModule(apart)).default] : groups
}

function applies (test) {
  return test.browser_only !== true
}

function described (group, test) {
  const kind = test.kind ?? 'required'
  return { ...test, group: group.id, kind, tally: TARGETED.includes(group.id) ? `targeted ${kind}` : kind }
}

function firstOf (...files) {
  return files.find(file => fs.existsSync(file))
}

function loadModule (file) {
  return import(pathToFileURL(file))
}
