// Running, watching, and what happens when things go wrong.
import assert from 'node:assert/strict';
import * as on from '../page.mjs';

/** Pause the queue and put so many jobs into it; gives its panel, who waits, and who waited first. */
async function letWait(page, count, pause) {
  await on.small(page);
  await on.field(page, 'KSampler: seed after a run').selectOption('increment');
  await on.rest(page);
  await page.keyboard.press('q');
  const panel = page.getByRole('complementary', { name: 'Queue and history' });
  await pause(panel);
  await panel.getByText('Paused: what runs will end').waitFor();
  await on.field(page, 'How many times').fill(String(count));
  await page.keyboard.press('Control+Enter');
  const waiting = () => panel.locator('.jobs').first().locator('.job-name').allTextContents();
  const before = await on.eventually(waiting, (names) => names.length === count, `${count} waiting jobs`);
  return { panel, waiting, before };
}

export default {
  async runs(page) {
    await on.small(page);
    await page.keyboard.press('Control+Enter');
    const picture = on.node(page, 'Save Image').locator('.picture img');
    await picture.waitFor({ timeout: on.RUN_MS });
    await page.waitForFunction((image) => image.naturalWidth === 64, await picture.elementHandle());
    await page.getByText('Ready', { exact: true }).waitFor({ timeout: on.RUN_MS });
    await on.shot(page, 'after');
    await on.node(page, 'Save Image').getByRole('button', { name: /show it large/ }).click();
    await page.getByRole('button', { name: 'Open its workflow' }).waitFor();
    await on.shot(page, 'large');
    await page.getByRole('button', { name: 'Open its workflow' }).click();
    await page.waitForFunction(() => document.querySelectorAll('.tab').length === 2);
    assert.equal(await on.field(page, 'KSampler: steps').inputValue(), '2');
    const places = (file) => file.nodes.map((each) => each.pos);
    const opened = places(await on.draft(page));
    await page.keyboard.press('Alt+PageUp');
    await page.waitForFunction(() => document.querySelector('.tab.is-active')?.textContent.includes('Text to image'));
    assert.deepEqual(opened, places(await on.draft(page)));
    await page.getByRole('button', { name: 'Queue and history' }).click();
    await page.getByRole('button', { name: /^Show the pictures of job/ }).first().waitFor();
    await on.shot(page, 'queue');
  },

  async showsErrors(page) {
    const file = await on.draft(page);
    file.nodes.find((each) => each.type === 'KSampler').widgets_values[4] = 'plmz';
    await on.drop(page, 'wrong.json', JSON.stringify(file));
    await page.locator('.tab', { hasText: 'wrong' }).waitFor();
    await page.keyboard.press('Control+Enter');
    const errors = on.node(page, 'KSampler').locator('.node-errors');
    await errors.getByText('did you mean').waitFor();
    await page.keyboard.press('e');
    await page.getByRole('button', { name: 'Locate KSampler (5)' }).waitFor();
    await on.shot(page, 'errors');
    await errors.getByRole('button', { name: 'plms', exact: true }).click();
    assert.equal((await on.draft(page)).nodes.find((each) => each.type === 'KSampler').widgets_values[4], 'plms');
  },

  async recovers(page) {
    await on.field(page, 'KSampler: steps').fill('30');
    await page.keyboard.press('Control+Enter');
    await on.node(page, 'KSampler').getByRole('progressbar').waitFor({ timeout: on.RUN_MS });
    console.log('running');
    await page.getByText('No connection; trying again.').waitFor({ timeout: on.RUN_MS });
    await on.shot(page, 'lost');
    await on.field(page, 'Positive prompt: text').fill('edited while the server was away');
    await on.node(page, 'Save Image').locator('.picture img').waitFor({ timeout: on.RUN_MS });
    await page.getByText('Ready', { exact: true }).waitFor({ timeout: on.RUN_MS });
    assert.equal(await on.field(page, 'Positive prompt: text').inputValue(), 'edited while the server was away');
    await page.reload();
    await on.node(page, 'Save Image').locator('.picture img').waitFor();
    await on.shot(page, 'back');
    on.complaints.length = 0; // the browser notes each failed attempt to connect
  },

  async findsARunAgain(page) {
    await on.small(page);
    await on.field(page, 'KSampler: steps').fill('40');
    for (const side of ['width', 'height']) await on.field(page, `Empty Latent Image: ${side}`).fill('256');
    await on.field(page, 'KSampler: seed').fill('78');
    await on.rest(page);
    await page.keyboard.press('Control+Enter');
    await on.node(page, 'KSampler').getByRole('progressbar').waitFor({ timeout: on.RUN_MS });
    await on.draft(page);
    await page.reload();
    await on.node(page, 'KSampler').getByRole('progressbar').waitFor();
    await on.eventually(() => page.title(), (text) => /^\[\d+%\]/.test(text), 'progress in the title');
    await on.shot(page, 'again');
    const job = (await on.ask('queue')).queue_running[0]?.[1];
    await on.node(page, 'Save Image').locator('.picture img').waitFor({ timeout: on.RUN_MS });
    await page.getByText('Ready', { exact: true }).waitFor({ timeout: on.RUN_MS });
    assert.equal((await on.ask(`history/${job}`))[job].status.status_str, 'success');
  },

  async runsBeforeOthers(page) {
    const { panel, waiting, before } = await letWait(page, 2, () => on.command(page, 'Pause the queue'));
    await on.field(page, 'How many times').fill('1');
    await page.keyboard.press('Control+Shift+Enter');
    const now = await on.eventually(waiting, (names) => names.length === 3, 'a third job');
    assert.deepEqual(now.slice(1), before);
    await on.command(page, 'Clear all waiting');
    await panel.getByText('Nothing is running.').waitFor();
    const { queue_running, queue_pending } = await on.ask('queue');
    assert.deepEqual([queue_running, queue_pending], [[], []]);
    await on.command(page, 'Resume the queue');
    await panel.getByRole('button', { name: 'Pause the queue' }).waitFor();
    await page.getByText('Ready', { exact: true }).waitFor();
  },

  async ordersTheQueue(page) {
    const { panel, waiting, before } = await letWait(page, 3, (bar) => bar.getByRole('button', { name: 'Pause the queue' }).click());
    await page.locator('.badge', { hasText: '3' }).waitFor();
    await on.button(page, `Move ${before[2]} up`).click();
    await on.eventually(waiting, (names) => names.join() === [before[0], before[2], before[1]].join(), 'the new order');
    await on.shot(page, 'paused');
    await on.button(page, `Remove ${before[0]}`).click();
    await on.eventually(waiting, (names) => names.join() === [before[2], before[1]].join(), 'two jobs');
    await panel.getByRole('button', { name: 'Resume the queue' }).click();
    await panel.getByText('Nothing is running.').waitFor({ timeout: on.RUN_MS });
    const ended = () => panel.locator('.job-ended .job-name').allTextContents();
    await on.eventually(ended, (names) => names[0] === before[1] && names[1] === before[2], 'the jobs in their order');
    await on.button(page, `Run ${before[1]} again`).click();
    await on.eventually(ended, (names) => names.length > 0 && names[0] !== before[1], 'another run', on.RUN_MS);
    await on.button(page, `Details of ${before[1]}`).click();
    const details = panel.locator('.job-details');
    await details.getByText('KSampler (5)').waitFor();
    await details.getByText(/of memory at most/).waitFor();
    assert.ok((await details.locator('code').textContent()).startsWith(before[1].replace('job ', '')));
    await on.button(page, `Delete ${before[2]}`).click();
    await on.eventually(ended, (names) => !names.includes(before[2]), 'one job less');
    await on.button(page, `Open the workflow of ${before[1]}`).click();
    await on.tab(page, before[1]).waitFor();
    assert.equal(await on.field(page, 'KSampler: steps').inputValue(), '2');
  },

  async showsHowFarItIs(page) {
    await on.small(page);
    await on.field(page, 'KSampler: steps').fill('30');
    await on.field(page, 'Empty Latent Image: width').fill('256');
    await on.field(page, 'Empty Latent Image: height').fill('256');
    await on.field(page, 'KSampler: seed').fill('77');
    await page.keyboard.press('Control+Enter');
    const title = () => page.title();
    await on.eventually(title, (text) => /^\[\d+%\]/.test(text), 'progress in the title', on.RUN_MS);
    await on.node(page, 'KSampler').getByRole('progressbar').waitFor({ timeout: on.RUN_MS });
    await on.node(page, 'KSampler').locator('.picture img').waitFor({ timeout: on.RUN_MS }); // a preview
    await on.shot(page, 'running');
    await page.keyboard.press('Control+Alt+Enter');
    await page.getByText('Stopped.').waitFor({ timeout: on.RUN_MS });
    await on.eventually(title, (text) => !text.startsWith('['), 'a quiet title', on.RUN_MS);
  },
};
