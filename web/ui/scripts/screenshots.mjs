// The pictures of the README, taken of a running server: node scripts/screenshots.mjs <address> [folder]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [address = 'http://127.0.0.1:8188/', folder = join(import.meta.dirname, '../../../docs/images')] = process.argv.slice(2);
const RUN_MS = 300_000;
mkdirSync(folder, { recursive: true });

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
  const open = async (options) => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 760 }, reducedMotion: 'reduce', ...options });
    await page.addInitScript(() => {
      if (!localStorage.getItem('easel.settings')) localStorage.setItem('easel.settings', JSON.stringify({ toured: true }));
    });
    await page.goto(address);
    await page.getByText('Ready', { exact: true }).waitFor();
    await page.locator('.react-flow__node, .form-view').first().waitFor();
    return page;
  };
  const take = async (page, name) => {
    await page.locator('.toast').first().waitFor({ state: 'detached', timeout: 30_000 });
    const client = await page.context().newCDPSession(page);
    const { data } = await client.send('Page.captureScreenshot', { format: 'webp', quality: 80 });
    writeFileSync(join(folder, `${name}.webp`), Buffer.from(data, 'base64'));
    console.log(name);
  };
  const small = async (page, prefix) => {
    for (const [label, value] of [['KSampler: steps', '8'], ['Empty Latent Image: width', '256'], ['Empty Latent Image: height', '256']])
      await page.getByLabel(`${prefix}${label}`, { exact: true }).fill(value);
  };

  const dark = await open({ colorScheme: 'dark' });
  await small(dark, '');
  await dark.keyboard.press('Control+Enter');
  await dark.locator('.picture img').first().waitFor({ timeout: RUN_MS });
  await dark.getByText('Ready', { exact: true }).waitFor({ timeout: RUN_MS });
  await take(dark, 'graph');
  await dark.locator('.react-flow__pane').click({ position: { x: 20, y: 20 } });
  await dark.keyboard.press('w');
  await dark.keyboard.press('t');
  await dark.locator('.timing li').first().waitFor();
  await dark.locator('.templates .card').nth(2).waitFor();
  await take(dark, 'templates-and-timing');
  await dark.close();

  const light = await open({ colorScheme: 'light' });
  await light.keyboard.press('f');
  await light.locator('.form-view').waitFor();
  await light.keyboard.press('q');
  await light.waitForFunction(() => document.querySelector('.jobs .thumb img')?.naturalWidth > 0);
  await take(light, 'form-and-queue');
  await light.close();

  const phone = await open({ colorScheme: 'dark', viewport: { width: 390, height: 760 } });
  await take(phone, 'phone');
} finally {
  await browser.close();
}
