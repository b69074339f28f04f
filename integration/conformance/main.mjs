// Runs the suite against an edge and does with the results what is asked for.
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { counts, outcomes } from './outcomes.mjs'
import { betterOf, compare, format, isWorse, parse, summary } from './expected.mjs'
import { client, withEdge } from './processes.mjs'
import { report } from './report.mjs'
import { load } from './suite.mjs'
import { table } from './table.mjs'

const USAGE = `The conformance suite http-cache-tests against a real \`verge run\`.

Usage: run --verge PROGRAM [what]...

  --verge PROGRAM   the program \`verge\`
  --check           compare with what is expected; the exit status is 1 if anything is worse
  --update          write what came out as what is expected
  --report FILE     write all that failed, with what was sent, expected and received, as Markdown
  --table           print a Markdown table beside other caches' public results
  --results FILE    write the results as the suite's client gives them (JSON)
  --suite FOLDER    another suite than npm's: a checkout of its repository
  --expected FILE   what is expected, a line a test [default: expected/npm.txt, or expected/repository.txt for a checkout]
  --config FILE     the edge's configuration; {origin} in it becomes the address of the suite's server [default: edge.toml]
`

const OPTIONS = {
  verge: { type: 'string' },
  check: { type: 'boolean' },
  update: { type: 'boolean' },
  report: { type: 'string' },
  table: { type: 'boolean' },
  results: { type: 'string' },
  suite: { type: 'string' },
  expected: { type: 'string' },
  config: { type: 'string', default: beside('edge.toml') },
  help: { type: 'boolean', short: 'h' }
}

function beside (file) {
  return fileURLToPath(new URL(file, import.meta.url))
}

function options () {
  const { values } = parseArgs({ options: OPTIONS })
  if (values.help) {
    process.stdout.write(USAGE)
    process.exit(0)
  }
  if (!values.verge) throw new Error('--verge PROGRAM is missing')
  return values
}

async function run (options) {
  const suite = await load(options.suite)
  const expected = options.expected ?? beside(`expected/${suite.release}.txt`)
  return withEdge(suite, options, async running => {
    const { results, found } = await runSuite(suite, running)
    console.log(counts(found))
    if (options.results) fs.writeFileSync(options.results, JSON.stringify(results, null, 1) + '\n')
    if (options.report) fs.writeFileSync(options.report, await report(suite, running, found))
    if (options.table) console.log(await table(suite, found))
    if (options.update) fs.writeFileSync(expected, format(found))
    return options.check ? check(expected, found, async () => (await runSuite(suite, running)).found) : 0
  })
}

async function runSuite (suite, running) {
  const results = JSON.parse(await client(suite, running.base))
  return { results, found: outcomes(suite, results) }
}

/** A test counts as worse if it is so twice: on a busy machine, three seconds can pass where the suite means two. */
async function check (file, found, again) {
  const expected = parse(fs.readFileSync(file, 'utf8'))
  let changes = compare(expected, found)
  const failed = changes.filter(isWorse)
  if (failed.length) {
    console.log(`${failed.length} are worse; the suite is run once more`)
    changes = compare(expected, betterOf(found, await again()))
  }
  console.log(summary(changes))
  return changes.some(isWorse) ? 1 : 0
}

try {
  process.exitCode = await run(options())
} catch (error) {
  console.error(`conformance: ${error.message}`)
  process.exitCode = 2
}
