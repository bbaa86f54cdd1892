// Building and editing graphs.
import assert from 'node:assert/strict';
import * as on from '../page.mjs';

export default {
  async opens(page) {
    assert.equal(await page.locator('.react-flow__node').count(), 7);
    assert.equal(await page.locator('.react-flow__edge').count(), 9);
    assert.equal(await page.title(), 'Text to image · Easel');
    assert.equal(await page.locator('.toast').count(), 0);
  },

  async undoes(page) {
    const first = await on.draft(page);
    const header = on.node(page, 'KSampler').locator('.node-title');
    const { x, y } = await header.boundingBox();
    await page.mouse.move(x + 20, y + 6);
    await page.mouse.down();
    await page.mouse.move(x + 20, y - 150, { steps: 8 });
    await page.mouse.up();
    assert.notDeepEqual(await on.draft(page), first);
    await page.keyboard.press('Control+d');
    await page.keyboard.press('Control+m');
    await page.keyboard.press('Delete');
    await on.rest(page);
    await on.field(page, 'Positive prompt: text').fill('a cat & a dog');
    await on.rest(page);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Control+b');
    await page.keyboard.press('Shift+L');
    await page.keyboard.press('Control+g');
    const last = await on.draft(page);
    assert.notDeepEqual(last, first);
    for (let turn = 0; turn < 20; turn++) await page.keyboard.press('Control+z');
    assert.deepEqual(await on.draft(page), first);
    await on.rest(page);
    for (let turn = 0; turn < 20; turn++) await page.keyboard.press('Control+Shift+z');
    assert.deepEqual(await on.draft(page), last);
    await on.shot(page, 'after');
  },

  async connectsByKeyboard(page) {
    await page.keyboard.press('Alt+n');
    await page.getByText('An empty workflow').waitFor();
    for (const name of ['EmptyLatentImage', 'VAEDecode']) {
      await page.keyboard.press('Shift+A');
      await page.getByRole('combobox', { name: 'Add a node' }).waitFor();
      await page.keyboard.type(name);
      await page.keyboard.press('Enter');
      await page.waitForFunction(() => document.activeElement?.classList.contains('react-flow__node'));
    }
    await page.keyboard.press('c');
    await page.getByRole('combobox', { name: 'Connect' }).waitFor();
    await page.keyboard.type('samples');
    await page.keyboard.press('Enter');
    await page.getByRole('combobox', { name: 'To' }).waitFor();
    await on.shot(page, 'palette');
    await page.keyboard.press('Enter');
    const file = await on.draft(page);
    assert.deepEqual(file.links.map((each) => each.slice(1)), [[1, 0, 2, 0, 'LATENT']]);
    assert.equal(await page.locator('.react-flow__edge').count(), 1);
    await page.keyboard.press('Control+z');
    assert.deepEqual((await on.draft(page)).links, []);
  },

  async linksByMouse(page) {
    const before = await on.draft(page);
    await on.pull(page, on.socket(page, 'Load Checkpoint', 'out:2'), on.socket(page, 'KSampler', 'in:model'));
    await page.getByText('“model” takes MODEL; this output gives VAE.').waitFor();
    await on.shot(page, 'refused');
    assert.deepEqual(await on.draft(page), before);
    await on.pull(page, on.socket(page, 'Negative prompt', 'out:0'), on.socket(page, 'KSampler', 'in:positive'));
    const links = (await on.draft(page)).links.filter((each) => each[3] === 5 && each[5] === 'CONDITIONING');
    assert.deepEqual(links.map((each) => each[1]), [3, 3]);
  },

  async offersNodesForALink(page) {
    const { x, y } = await on.socket(page, 'VAE Decode', 'out:0').boundingBox();
    await page.mouse.move(x + 7, y + 7);
    await page.mouse.down();
    await page.mouse.move(x + 40, y + 260, { steps: 6 });
    await page.mouse.up();
    await page.getByRole('combobox', { name: 'Add a node that fits' }).fill('Invert');
    await page.keyboard.press('Enter');
    const file = await on.draft(page);
    const made = file.nodes.find((each) => each.type === 'ImageInvert');
    assert.ok(file.links.some((each) => each[1] === 6 && each[3] === made.id));
    await page.keyboard.press('Control+z');
    assert.equal((await on.draft(page)).nodes.length, 7);
  },
};
