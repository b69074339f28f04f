// A Markdown table of Verge beside the caches whose results the suite publishes in its folder `results`.
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

import { isGood, outcomes, tallies } from './outcomes.mjs'

// What a test that merely asks finds is neither good nor bad, so it is not in the table.
const ROWS = ['required', 'optimal', 'targeted required', 'targeted optimal']

/** One row a cache, Verge first, the others as the suite lists them. */
export async function table (suite, found) {
  const caches = [{ name: '**Verge**', version: '', found }, ...await peers(suite)]
  const totals = tallies(found)
  const head = ['cache', 'version', ...ROWS.map(row => `${row} (of ${totals.get(row)?.all ?? 0})`)]
  const rows = caches.map(cache => [cache.name, cache.version, ...ROWS.map(row => good(cache.found, row))])
  return [head, head.map((_, index) => index < 2 ? '---' : '---:'), ...rows].map(line).join('\n')
}

async function peers (suite) {
  const folder = path.join(suite.folder, 'results')
  const index = (await import(pathToFileURL(path.join(folder, 'index.mjs')))).default
  return index.filter(cache => cache.type !== 'browser').map(({ name, version, file }) => ({
    name,
    version,
    found: outcomes(suite, JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')))
  }))
}

function good (found, row) {
  return found.filter(({ test, outcome }) => test.tally === row && isGood(outcome)).length
}

function line (cells) {
  return `| ${cells.join(' | ')} |`
}
