// Pictures: made, looked at, compared, painted over, used again.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as on from '../page.mjs';

const EXAMPLE = new URL('../../../workflows/input/example.png', import.meta.url);

/** Make pictures of their own, so that the flow needs none from before. */
async function make(page, count, prefix) {
  await on.small(page);
  await on.field(page, 'Save Image: filename_prefix').fill(prefix);
  await on.field(page, 'KSampler: seed after a run').selectOption('increment');
  await on.field(page, 'How many times').fill(String(count));
  await on.rest(page);
  await on.run(page);
  await on.eventually(
    async () => (await on.ask('internal/files/output')).filter((each) => each.startsWith(prefix)),
    (names) => names.length === count, 'the pictures', on.RUN_MS);
  await page.getByText('Ready', { exact: true }).waitFor({ timeout: on.RUN_MS });
}

/** A picture of its own, open in the mask editor: what is painted on, and how much of the picture is chosen. */
async function openMask(page, name) {
  const text = JSON.stringify({ last_node_id: 1, last_link_id: 0, nodes: [{ id: 1, type: 'LoadImage', pos: [0, 0], size: [320, 340], flags: {}, order: 0, mode: 0, inputs: [], outputs: [], properties: {}, widgets_values: ['', 'image'] }], links: [], groups: [], config: {}, extra: {}, version: 0.4 });
  await on.drop(page, 'mask me.json', text);
  await on.tab(page, 'mask me').waitFor();
  await on.drop(page, `${name}.png`, readFileSync(EXAMPLE).toString('base64'), 'image/png', '.react-flow__node .node');
  await on.eventually(async () => (await on.draft(page)).nodes[0].widgets_values[0], (stored) => stored.startsWith(name) && stored.endsWith('.png'), 'the upload');
  await on.button(page, 'Load Image: edit the mask').click();
  const canvas = page.locator('.mask-paint');
  await on.eventually(() => canvas.evaluate((each) => each.width), (width) => width > 1, 'the picture');
  await on.button(page, 'Save the mask').waitFor();
  /** The part of the picture that is chosen. */
  const chosen = () => canvas.evaluate((each) => {
    const { data } = each.getContext('2d').getImageData(0, 0, each.width, each.height);
    let count = 0;
    for (let at = 3; at < data.length; at += 4) if (data[at] > 60) count++;
    return count / (each.width * each.height);
  });
  return { canvas, chosen };
}

export default {
  async keepsAGallery(page) {
    await on.field(page, 'Positive prompt: text').fill('a red cube on top, kept in the gallery');
    await make(page, 2, 'gallery');
    await page.keyboard.press('g');
    const panel = page.getByRole('complementary', { name: 'Pictures' });
    await panel.getByRole('searchbox').fill('kept in the gallery');
    const shown = () => panel.locator('.gallery .thumb').count();
    await on.eventually(shown, (count) => count === 2, 'two pictures');
    await on.shot(page, 'gallery');
    const names = await panel.locator('.choose').evaluateAll((all) => all.map((each) => each.getAttribute('aria-label')));
    for (const name of names) await on.field(panel, name).check();
    await on.button(panel, 'Compare').click();
    const slider = page.getByLabel('How much of the first picture is shown');
    await slider.focus();
    await page.keyboard.press('ArrowLeft');
    assert.equal(await slider.inputValue(), '49');
    assert.match(await page.locator('.compare img').nth(1).getAttribute('style'), /inset\(0px 51% 0px 0px\)/);
    await on.shot(page, 'compare');
    await page.keyboard.press('Escape');
    await page.locator('.compare').waitFor({ state: 'detached' });

    await panel.locator('.gallery .thumb').first().click();
    const recipe = page.getByRole('region', { name: 'What it was made with' });
    await recipe.getByText('KSampler (5)').waitFor();
    await recipe.getByText('a red cube on top').waitFor();
    await page.getByText('1 of 2').waitFor();
    await page.keyboard.press('ArrowRight');
    await page.getByText('2 of 2').waitFor();
    const large = page.locator('.stage-frame img');
    const fitted = (await large.boundingBox()).width;
    await page.keyboard.press('1');
    await on.eventually(() => large.boundingBox(), (box) => box.width === 64, 'real size');
    await page.keyboard.press('+');
    await on.eventually(() => large.boundingBox(), (box) => box.width === 80, 'a larger picture');
    await page.keyboard.press('0');
    await on.eventually(() => large.boundingBox(), (box) => box.width === fitted, 'as large as there is room');
    await on.shot(page, 'lightbox');
    await on.button(page, 'Delete').last().click(); // the one of the large view
    await page.getByText('Moved to the trash: 1.').waitFor();
    await page.keyboard.press('Escape');
    await on.eventually(shown, (count) => count === 1, 'one picture');
    const there = async () => (await on.ask('internal/files/output')).filter((each) => each.startsWith('gallery')).length;
    assert.equal(await there(), 1);
    await on.button(page, 'Bring back').click(); // of the message
    await on.eventually(shown, (count) => count === 2, 'both pictures');
    assert.equal(await there(), 2);
    // several at once; one is brought back from the trash, the other goes for good
    const choices = () => panel.locator('.choose');
    for (const at of [0, 1]) await choices().nth(at).check();
    await panel.getByText('2 chosen').waitFor();
    await on.button(panel, 'Delete').click();
    await on.eventually(there, (count) => count === 0, 'an empty folder');
    await on.button(panel, 'Trash').click();
    await on.eventually(shown, (count) => count === 2, 'two in the trash');
    await on.shot(page, 'trash');
    await choices().first().check();
    await on.button(panel, 'Bring back').click();
    await on.eventually(shown, (count) => count === 1, 'one in the trash');
    assert.equal(await there(), 1);
    await choices().first().check();
    await on.button(panel, 'Delete for good').click();
    await panel.getByText('The trash is empty.').waitFor();
    await on.button(panel, 'Trash').click();
    await on.eventually(shown, (count) => count === 1, 'the one that is left');
  },

  async downloadsPictures(page) {
    await make(page, 2, 'taken');
    await page.keyboard.press('g');
    const panel = page.getByRole('complementary', { name: 'Pictures' });
    await panel.getByRole('searchbox').fill('taken');
    const choices = panel.locator('.choose');
    await on.eventually(() => choices.count(), (count) => count === 2, 'two pictures');
    for (const at of [0, 1]) await choices.nth(at).check();
    const files = [];
    page.on('download', (file) => files.push(file));
    await on.button(panel, 'Download').click();
    await on.eventually(async () => files.length, (count) => count === 2, 'both files');
    for (const file of files) {
      const there = await fetch(`${on.address}view?filename=${encodeURIComponent(file.suggestedFilename())}&type=output`);
      assert.equal(there.status, 200, file.suggestedFilename());
      const parts = [];
      for await (const part of await file.createReadStream()) parts.push(part);
      assert.ok(Buffer.concat(parts).equals(Buffer.from(await there.arrayBuffer())));
    }
    assert.equal(new Set(files.map((file) => file.suggestedFilename())).size, 2);
  },

  async sendsAPictureToTheInput(page) {
    await make(page, 1, 'again');
    await on.node(page, 'Save Image').getByRole('button', { name: /show it large/ }).click();
    await on.button(page, 'Send to input').click();
    await page.getByText('is now an input of this workflow.').waitFor();
    const file = await on.draft(page);
    const made = file.nodes.find((each) => each.type === 'LoadImage');
    assert.match(made.widgets_values[0], /^again/);
    assert.ok((await on.ask('internal/files/input')).includes(made.widgets_values[0]));
    await page.keyboard.press('Control+z');
    assert.equal((await on.draft(page)).nodes.length, on.FIRST);
  },

  async feelsThePen(page) {
    const { canvas, chosen } = await openMask(page, 'pen');
    const client = await page.context().newCDPSession(page);
    const box = await canvas.boundingBox();
    /** A line across the picture by a pen; gives how much it chose. */
    const line = async (force, part) => {
      const before = await chosen();
      const at = (across) => ({ x: box.x + box.width * across, y: box.y + box.height * part, pointerType: 'pen', button: 'left', force });
      await client.send('Input.dispatchMouseEvent', { type: 'mousePressed', buttons: 1, clickCount: 1, ...at(0.2) });
      for (const across of [0.4, 0.6, 0.8]) await client.send('Input.dispatchMouseEvent', { type: 'mouseMoved', buttons: 1, ...at(across) });
      await client.send('Input.dispatchMouseEvent', { type: 'mouseReleased', buttons: 0, clickCount: 1, ...at(0.8) });
      return (await chosen()) - before;
    };
    const [light, firm] = [await line(0.1, 0.25), await line(0.9, 0.7)];
    await on.shot(page, 'lines');
    assert.ok(light > 0.001 && firm > 3 * light, `${light} and ${firm}`);
  },

  async paintsAMask(page) {
    const { canvas, chosen } = await openMask(page, 'shore');
    assert.equal(await chosen(), 0);
    const box = await canvas.boundingBox();
    const x = (part) => box.x + box.width * part;
    const y = (part) => box.y + box.height * part;
    await page.mouse.move(x(0.3), y(0.3));
    await page.mouse.down();
    for (const [a, b] of [[0.7, 0.3], [0.7, 0.7], [0.3, 0.7], [0.3, 0.3]]) await page.mouse.move(x(a), y(b), { steps: 6 });
    await page.mouse.up();
    const ring = await chosen();
    assert.ok(ring > 0.01 && ring < 0.6, `${ring}`);
    await page.keyboard.press('f');
    await page.mouse.click(x(0.5), y(0.5));
    const filled = await chosen();
    assert.ok(filled > ring, `${filled} after ${ring}`);
    await on.shot(page, 'painted');
    await page.keyboard.press('Control+z');
    assert.equal(await chosen(), ring);
    await page.keyboard.press('Control+Shift+z');
    assert.equal(await chosen(), filled);
    await on.button(page, 'Invert').click();
    const inverted = await chosen();
    assert.ok(Math.abs(inverted - (1 - filled)) < 0.05, `${inverted}`);
    await on.button(page, 'Invert').click();
    await page.keyboard.press('e');
    await page.mouse.move(x(0.3), y(0.3));
    await page.mouse.down();
    await page.mouse.move(x(0.32), y(0.3), { steps: 3 });
    await page.mouse.up();
    assert.ok((await chosen()) < filled);
    const zoomed = await canvas.boundingBox();
    await on.button(page, 'Zoom in').click();
    await on.eventually(() => canvas.boundingBox(), (now) => now.width > zoomed.width * 1.2, 'a larger picture');
    await on.button(page, 'Save the mask').click();
    await page.getByText(/The mask is saved as .*-mask/).waitFor();
    const name = (await on.draft(page)).nodes[0].widgets_values[0];
    assert.match(name, /-mask.*\.png$/);
    const answer = await fetch(`${on.address}view?filename=${encodeURIComponent(name)}&type=input&channel=a`);
    assert.equal(answer.status, 200);
    await on.button(page, 'Load Image: edit the mask').click(); // what was saved is there again
    await on.eventually(chosen, (part) => part > 0.05, 'the saved mask');
  },
};
