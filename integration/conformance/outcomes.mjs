// What came of each test, and how many there are of each kind.

/** A row a test, in the suite's order: the test, its outcome, and what its client had to say. */
export function outcomes (suite, results) {
  return suite.tests.map(test => ({
    test,
    outcome: suite.judge(test.id, results),
    said: results[test.id]?.[1] ?? ''
  }))
}

/** A line a kind of test, such as `required 148 of 150`. */
export function counts (found) {
  return [...tallies(found)].map(([tally, { good, all }]) => `${tally} ${good} of ${all}`).join('\n')
}

/** How many of each kind came out well, by the kind's name. */
export function tallies (found) {
  const tallies = new Map()
  for (const { test, outcome } of found) {
    const tally = tallies.get(test.tally) ?? { good: 0, all: 0 }
    tallies.set(test.tally, { good: tally.good + isGood(outcome), all: tally.all + 1 })
  }
  return new Map([...tallies].sort())
}

/** Whether the test passed, or what it asks about is so. */
export function isGood (outcome) {
  return outcome === 'pass' || outcome === 'yes'
}
