// What makes working with it easy: looking around, numbers by dragging, notes, problems, tabs that come back, touch.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import * as on from '../page.mjs';

const EXAMPLE = new URL('../../../workflows/input/example.png', import.meta.url);
const file = (nodes) => JSON.stringify({ last_node_id: 20, last_link_id: 0, nodes, links: [], groups: [], config: {}, extra: {}, version: 0.4 });
const plain = (id, type, pos, size, values) => ({ id, type, pos, size, flags: {}, order: id, mode: 0, inputs: [], outputs: [], properties: {}, widgets_values: values });
const value = async (page, id, at) => (await on.draft(page)).nodes.find((each) => each.id === id).widgets_values[at];
const zoom = (page) => page.locator('.react-flow__viewport').evaluate((each) => new DOMMatrix(getComputedStyle(each).transform).a);
const left = (page) => page.locator('.react-flow__viewport').evaluate((each) => new DOMMatrix(getComputedStyle(each).transform).e);

export default {
  async looksAround(page) {
    const first = await zoom(page);
    await page.keyboard.press('+');
    await on.eventually(() => zoom(page), (now) => now > first * 1.2, 'a closer look');
    await page.keyboard.press('-');
    await on.eventually(() => zoom(page), (now) => Math.abs(now - first) < 0.01, 'the first look');
    await page.keyboard.press('0');
    await on.eventually(() => zoom(page), (now) => now === 1, 'real size');
    const before = await left(page);
    await page.keyboard.press('ArrowRight'); // nothing is chosen: the view moves
    await on.eventually(() => left(page), (now) => now === before - 80, 'a view moved to the right');
    await on.press(page, 'KSampler');
    await page.keyboard.press(',');
    await on.eventually(() => on.node(page, 'KSampler').boundingBox(), (box) => Math.abs(box.x + box.width / 2 - 742) < 40, 'the selection in the middle');
    // it is there again after a reload, and after a visit to another tab
    const kept = [await zoom(page), await left(page)];
    await on.draft(page);
    await page.reload();
    await page.locator('.react-flow__node').first().waitFor();
    assert.deepEqual([await zoom(page), await left(page)], kept);
    await page.keyboard.press('Alt+n');
    await page.keyboard.press('Alt+PageUp');
    await on.eventually(async () => [await zoom(page), await left(page)].join(), (now) => now === kept.join(), 'the view of the tab');
    // locked, a node stays where it is; with the other tool, dragging chooses
    await on.fit(page);
    const drag = async (by) => {
      const { x, y } = await on.node(page, 'KSampler').locator('.node-title').boundingBox();
      await page.mouse.move(x + 20, y + 6);
      await page.mouse.down();
      await page.mouse.move(x + 20 + by, y + 6 + by, { steps: 4 });
      await page.mouse.up();
    };
    const place = async () => (await on.draft(page)).nodes.find((each) => each.id === 5).pos.join();
    const pos = await place();
    await on.button(page, 'Lock the graph').click();
    await drag(60);
    assert.equal(await place(), pos);
    await page.keyboard.press('l');
    await drag(60);
    assert.notEqual(await place(), pos);
    await page.keyboard.press('Control+z');
    await on.rest(page);
    await page.keyboard.press('v');
    const pane = await page.locator('.react-flow__pane').boundingBox();
    await page.mouse.move(pane.x + 20, pane.y + 20);
    await page.mouse.down();
    await page.mouse.move(pane.x + pane.width - 20, pane.y + pane.height - 20, { steps: 6 });
    await page.mouse.up();
    await on.eventually(() => page.locator('.node.is-selected').count(), (count) => count === on.FIRST, 'all nodes chosen');
    const wide = (await on.node(page, 'KSampler').boundingBox()).width;
    await page.keyboard.press('ArrowDown'); // all of them move, and screen readers are told
    await page.locator('[aria-live=polite]', { hasText: `, and ${on.FIRST - 1} more moved along.` }).waitFor({ state: 'attached' });
    await page.keyboard.press('Alt+ArrowRight');
    await on.eventually(async () => (await on.node(page, 'KSampler').boundingBox()).width, (now) => now > wide, 'a wider node');
    await page.keyboard.press('v');
  },

  async snapsToTheGrid(page) {
    const place = async () => (await on.draft(page)).nodes.find((each) => each.id === 5).pos;
    const drag = async () => {
      const { x, y } = await on.node(page, 'KSampler').locator('.node-title').boundingBox();
      await page.mouse.move(x + 20, y + 6);
      await page.mouse.down();
      await page.mouse.move(x + 57, y + 49, { steps: 5 });
      await page.mouse.up();
      await on.rest(page);
      return place();
    };
    await page.keyboard.press('0');
    const first = await place();
    const free = await drag();
    assert.ok(free.some((each) => each % 10 !== 0), `${free}`);
    await page.keyboard.press('Control+z');
    assert.deepEqual(await place(), first);
    await on.command(page, 'Snap to the grid');
    const snapped = await drag();
    assert.ok(snapped.every((each) => each % 10 === 0) && snapped.join() !== first.join(), `${snapped}`);
    await on.command(page, 'Snap to the grid'); // and off again
    assert.ok((await drag()).some((each) => each % 10 !== 0));
  },

  async dragsNumbers(page) {
    const steps = on.field(page, 'KSampler: steps');
    const { x, y, width, height } = await steps.boundingBox();
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x + width / 2 + 20, y + height / 2, { steps: 4 });
    await on.eventually(() => steps.inputValue(), (now) => Number(now) > 25, 'a larger number');
    await new Promise((done) => setTimeout(done, 1200)); // a pause is no new gesture
    await page.mouse.move(x + width / 2 + 40, y + height / 2, { steps: 4 });
    await page.mouse.up();
    assert.equal(await value(page, 5, 2), 31);
    await page.keyboard.press('Control+z');
    assert.equal(await value(page, 5, 2), 25);
    await steps.click(); // a press without a drag edits
    await page.keyboard.type('2*6');
    await page.keyboard.press('Enter');
    assert.equal(await value(page, 5, 2), 12);
  },

  async movesAllLinks(page) {
    const feeds = async (node, output) => (await on.draft(page)).links.filter((each) => each[1] === node && each[2] === output).length;
    await on.press(page, 'Positive prompt');
    await page.keyboard.press('Control+d');
    await on.eventually(async () => (await on.draft(page)).nodes.length, (count) => count === on.FIRST + 1, 'a copy');
    await page.keyboard.press('Shift+L');
    await on.rest(page);
    await on.fit(page);
    const copies = on.node(page, 'Positive prompt').locator('[data-handleid="out:0"]');
    const link = (await on.draft(page)).links.find((each) => each[3] === 5 && each[5] === 'CONDITIONING');
    assert.equal(link[1], 2);
    const [a, b] = [await copies.nth(0).boundingBox(), await copies.nth(1).boundingBox()];
    await page.keyboard.down('Shift');
    await page.mouse.move(a.x + a.width / 2, a.y + a.height / 2);
    await page.mouse.down();
    await page.mouse.move(b.x + b.width / 2 - 20, b.y + b.height / 2, { steps: 4 });
    await page.mouse.move(b.x + b.width / 2, b.y + b.height / 2, { steps: 4 });
    await page.mouse.up();
    await page.keyboard.up('Shift');
    await on.eventually(() => feeds(2, 0), (count) => count === 0, 'no link of the first one');
    assert.equal(await feeds(9, 0), 1);
    await page.keyboard.press('Control+z'); // one step
    assert.equal(await feeds(2, 0), 1);
    // the same by keyboard
    await page.locator('.react-flow__node[data-id="2"] .node-title').click();
    await page.keyboard.press('c');
    await page.getByRole('combobox', { name: 'Connect' }).waitFor();
    await page.keyboard.type('Move the links');
    await page.keyboard.press('Enter');
    await page.getByRole('combobox', { name: 'Move all its links to' }).waitFor();
    assert.deepEqual(await page.getByRole('option').allTextContents(), ['Negative prompt: CONDITIONING3', 'Positive prompt: CONDITIONING9']);
    await page.keyboard.type('Positive');
    await page.keyboard.press('Enter');
    await on.eventually(() => feeds(9, 0), (count) => count === 1, 'the link of the copy');
    // a link held over a socket that does not take it says why before it is let go
    const [from, to] = [await on.socket(page, 'Load Checkpoint', 'out:2').boundingBox(), await on.socket(page, 'KSampler', 'in:model').boundingBox()];
    await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
    await page.mouse.down();
    await page.mouse.move(to.x - 20, to.y + to.height / 2, { steps: 4 });
    await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 4 });
    await page.locator('.refusal', { hasText: '“model” takes MODEL; this output gives VAE.' }).waitFor();
    await on.shot(page, 'refusal');
    await page.mouse.up();
  },

  async takesPictures(page) {
    const picture = readFileSync(EXAMPLE).toString('base64');
    await on.drop(page, 'no recipe.png', picture, 'image/png'); // without a workflow inside it becomes an input
    await page.getByText(/no recipe.*is now an input of this workflow/).waitFor();
    await page.keyboard.press('Control+z');
    assert.equal((await on.draft(page)).nodes.length, on.FIRST);
    await on.rest(page);
    const clip = await page.evaluateHandle((text) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(text), (each) => each.charCodeAt(0))], 'pasted one.png', { type: 'image/png' }));
      return data;
    }, picture);
    await page.evaluate((data) => document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true })), clip);
    await page.getByText(/pasted one.*is now an input of this workflow/).waitFor();
    const made = (await on.draft(page)).nodes.find((each) => each.type === 'LoadImage');
    assert.match(made.widgets_values[0], /^pasted one.*png$/);
    const shown = on.node(page, 'Load Image').locator('.made-about');
    await shown.getByText(/^\d+ × \d+$/).waitFor();
    // the picker of the node
    const choose = page.getByLabel('Load Image: choose a picture', { exact: true });
    await choose.setInputFiles({ name: 'picked.png', mimeType: 'image/png', buffer: readFileSync(EXAMPLE) });
    await on.eventually(() => value(page, made.id, 0), (name) => /^picked.*png$/.test(name), 'the picked one');
    on.complaints.length = 0; // the browser notes that the server found no workflow in the picture
  },

  async writesNotes(page) {
    const text = '# Title\nsome **bold** words, `code` and [a page](https://example.org) but <img src=x onerror=alert(1)>\n\n- one\n- two\n\n[bad](javascript:alert(1))';
    await on.drop(page, 'note.json', file([plain(1, 'MarkdownNote', [0, 0], [420, 260], [text]), plain(2, 'Note', [460, 0], [300, 160], ['plain words'])]));
    await on.tab(page, 'note').waitFor();
    const note = page.locator('.note');
    await note.locator('.note-heading', { hasText: 'Title' }).waitFor();
    assert.equal(await note.locator('strong').textContent(), 'bold');
    assert.equal(await note.locator('li').count(), 2);
    assert.deepEqual(await note.locator('a').evaluateAll((all) => all.map((each) => each.href)), ['https://example.org/']);
    assert.equal(await note.locator('img').count(), 0);
    await on.shot(page, 'markdown');
    await on.button(page, 'Edit Markdown note: text').click();
    await on.field(page, 'Markdown note: text').fill('now *this*');
    await on.rest(page);
    await note.locator('em', { hasText: 'this' }).waitFor();
    assert.equal(await on.field(page, 'Note: text').inputValue(), 'plain words');
  },

  async listsProblems(page) {
    const graph = await on.draft(page);
    graph.nodes.find((each) => each.type === 'CheckpointLoaderSimple').widgets_values[0] = 'basis.safetensors';
    graph.nodes.find((each) => each.type === 'KSampler').widgets_values[2] = 0;
    graph.links = graph.links.filter((each) => each[3] !== 7);
    for (const each of graph.nodes) if (each.id === 7) each.inputs[0].link = null;
    await on.drop(page, 'incomplete.json', JSON.stringify(graph));
    await page.getByText('Models that are missing here: basis.safetensors. The names are kept.').waitFor();
    const panel = page.getByRole('complementary', { name: 'Problems' });
    await panel.getByText('Save Image: images needs a link').waitFor();
    await panel.getByText('KSampler: steps: 0 is below 1').waitFor();
    await page.locator('.badge.is-bad', { hasText: '3' }).waitFor();
    await on.shot(page, 'listed');
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await on.button(panel, 'Copy a report').click();
    await page.getByText('The report is copied.').waitFor();
    const report = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(report, /value_not_in_list: Load Checkpoint \(1\): ckpt_name: the model basis\.safetensors is not here/);
    assert.match(report, /required_input_missing: Save Image \(7\)/);
    await panel.getByRole('button', { name: 'base.safetensors', exact: true }).click(); // the nearest one instead
    assert.equal(await value(page, 1, 0), 'base.safetensors');
    await panel.getByRole('button', { name: 'Locate Save Image (7)' }).click();
    await on.eventually(() => page.locator('.node.is-selected .node-title').allTextContents(), (names) => names.join() === 'Save Image', 'the node');
  },

  async browsesABatch(page) {
    await on.small(page);
    await on.field(page, 'Empty Latent Image: batch_size').fill('3');
    await on.rest(page);
    await on.run(page);
    const node = on.node(page, 'Save Image');
    await on.eventually(() => node.locator('.made img').count(), (count) => count === 3, 'three pictures');
    await node.locator('.made-about', { hasText: '3 pictures' }).waitFor();
    await on.button(node, 'Save Image: the next picture').click();
    await node.locator('.made-about', { hasText: '64 × 64 · 1/3' }).waitFor();
    await on.button(node, 'Save Image: the picture before').click();
    await node.locator('.made-about', { hasText: '3/3' }).waitFor();
    await on.shot(page, 'alone');
    await on.button(node, 'Save Image: all pictures').click();
    await on.eventually(() => node.locator('.made img').count(), (count) => count === 3, 'the grid');
  },

  async reopensWorkflows(page) {
    await on.field(page, 'KSampler: steps').fill('17');
    await on.rest(page);
    await on.command(page, 'Duplicate this workflow');
    await on.tab(page, 'Text to image (copy)').waitFor();
    assert.equal(await value(page, 5, 2), 17);
    await on.field(page, 'KSampler: steps').fill('18');
    await on.rest(page);
    await page.keyboard.press('Alt+w');
    await page.getByText('Text to image (copy) was closed without being saved.').waitFor();
    await on.button(page, 'Open it again').click();
    await on.tab(page, 'Text to image (copy)').waitFor();
    assert.equal(await value(page, 5, 2), 18);
    await page.keyboard.press('Control+z'); // with its history
    assert.equal(await value(page, 5, 2), 17);
    await page.keyboard.press('Alt+w');
    await page.keyboard.press('Alt+Shift+W');
    await on.tab(page, 'Text to image (copy)').waitFor();
  },

  /** Fingers: pan, pinch, connect; as the browser itself tells of them. */
  async worksByTouch(page) {
    const client = await page.context().newCDPSession(page);
    await client.send('Emulation.setTouchEmulationEnabled', { enabled: true });
    await page.reload();
    await page.locator('.react-flow__node').first().waitFor();
    const touch = (type, points) => client.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
    const before = await left(page);
    await touch('touchStart', [[300, 110]]);
    for (let at = 1; at <= 5; at++) await touch('touchMove', [[300 + at * 20, 110]]);
    await touch('touchEnd', []);
    await on.eventually(() => left(page), (now) => now > before + 60, 'a view moved by a finger');
    const near = await zoom(page);
    await touch('touchStart', [[400, 110], [460, 110]]);
    for (let at = 1; at <= 6; at++) await touch('touchMove', [[400 - at * 10, 110], [460 + at * 10, 110]]);
    await touch('touchEnd', []);
    await on.eventually(() => zoom(page), (now) => now > near * 1.3, 'a closer look by two fingers');
    await on.fit(page);
    const mid = async (locator) => {
      const { x, y, width, height } = await locator.boundingBox();
      return [x + width / 2, y + height / 2];
    };
    const [from, to] = [await mid(on.socket(page, 'Negative prompt', 'out:0')), await mid(on.socket(page, 'KSampler', 'in:positive'))];
    await touch('touchStart', [from]);
    for (let at = 1; at <= 6; at++) await touch('touchMove', [[from[0] + ((to[0] - from[0]) * at) / 6, from[1] + ((to[1] - from[1]) * at) / 6]]);
    await touch('touchEnd', []);
    await on.eventually(async () => (await on.draft(page)).links.filter((each) => each[3] === 5 && each[1] === 3).length, (count) => count === 2, 'a link by a finger');
  },
};
