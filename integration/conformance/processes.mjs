// The programs of a run: the suite's origin and the edge, on ports that the system chose, and the suite's client.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'

/** Starts origin and edge, gives `work` the edge's address, and ends both whatever becomes of it. */
export async function withEdge (suite, options, work) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'verge-conformance-'))
  const running = []
  const end = () => running.forEach(child => child.kill())
  process.once('SIGTERM', () => { end(); process.exit(143) })
  try {
    const origin = await start(running, ...originCommand(suite, folder), /^Listening on .*:(\d+)\/$/)
    const config = path.join(folder, 'edge.toml')
    fs.writeFileSync(config, configuration(options.config, origin.match[1]))
    const edge = await start(running, options.verge, ['run', '--config', config], {}, /^verge: listening on (http:\S+)$/)
    return await work({ base: edge.match[1], origin, edge })
  } finally {
    end()
    fs.rmSync(folder, { recursive: true })
  }
}

/** Runs the suite's client to its end and gives what it printed. */
export function client (suite, base, id = '') {
  const child = spawn(process.execPath, ['--no-warnings', suite.cli], {
    cwd: suite.folder,
    env: { ...process.env, npm_config_base: base, npm_config_id: id, npm_package_config_id: '' },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  return new Promise((resolve, reject) => {
    const printed = { out: '', err: '' }
    child.stdout.on('data', data => { printed.out += data })
    child.stderr.on('data', data => { printed.err += data; process.stderr.write(data) })
    child.on('error', reject)
    child.on('close', code => code === 0 ? resolve(printed.out) : reject(new Error(`the suite's client failed: ${printed.err}`)))
  })
}

function originCommand (suite, folder) {
  const settings = { npm_config_protocol: 'http', npm_config_port: '0', npm_config_pidfile: path.join(folder, 'origin.pid') }
  return [process.execPath, ['--no-warnings', suite.server], { cwd: suite.folder, env: { ...process.env, ...settings } }]
}

function configuration (template, port) {
  return fs.readFileSync(template, 'utf8').replaceAll('{origin}', `http://localhost:${port}`)
}

/** Starts a program and waits for the line that says where it listens. Keeps all lines of it. */
function start (running, program, args, options, ready) {
  const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
  running.push(child)
  const lines = []
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', code => reject(new Error(`${program} ${args.join(' ')} ended with status ${code} before it listened`)))
    readline.createInterface({ input: child.stdout }).on('line', line => {
      lines.push(line)
      const match = ready.exec(line)
      if (match) resolve({ match, lines })
    })
  })
}
