// One browser for all flows: prints where it can be reached, and ends with its standard input.
import { createRequire } from 'node:module';

const require = createRequire(new URL('../../web/ui/package.json', import.meta.url));
const { chromium } = require('playwright-core');
export const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
export const PROGRAM = process.env.CHROMIUM || '/usr/bin/chromium';

if (process.argv[1] === import.meta.filename) {
  const server = await chromium.launchServer({ executablePath: PROGRAM, args: FLAGS, host: '127.0.0.1' });
  console.log(server.wsEndpoint());
  process.stdin.on('end', () => void server.close().then(() => process.exit()));
  process.stdin.resume();
}
