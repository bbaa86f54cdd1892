// Subgraphs, primitives, groups and points of links.
import assert from 'node:assert/strict';
import * as on from '../page.mjs';

const chosen = (page, names) => names.reduce(
  (before, name, at) => before.then(() => on.press(page, name, at ? ['Shift'] : [])), Promise.resolve());

export default {
  async makesAndOpensSubgraphs(page) {
    await on.small(page);
    await on.rest(page);
    const first = await on.draft(page);
    await chosen(page, ['Positive prompt', 'Negative prompt', 'KSampler']);
    await page.keyboard.press('Control+Shift+g');
    await on.node(page, 'Subgraph').waitFor();
    const packed = await on.draft(page);
    assert.equal(packed.nodes.length, on.FIRST - 2);
    assert.equal(packed.definitions.subgraphs[0].nodes.length, 3);
    await on.shot(page, 'packed');

    await on.button(page, 'Open the subgraph Subgraph').click();
    await on.node(page, 'Inputs').waitFor();
    await on.fit(page);
    await on.shot(page, 'inside');
    // a field becomes an input of the subgraph by a link from its last socket
    await on.pull(page, on.socket(page, 'Inputs', 'out:3'), on.socket(page, 'KSampler', 'in:steps'));
    await on.socket(page, 'Inputs', 'out:4').waitFor();
    await on.field(page, 'Positive prompt: text').fill('said inside');
    await on.rest(page);
    await page.keyboard.press('Shift+Escape');
    await on.field(page, 'Subgraph: steps').fill('3');
    await on.rest(page);
    const file = await on.draft(page);
    const inner = file.definitions.subgraphs[0];
    assert.equal(inner.inputs[3].name, 'steps');
    assert.deepEqual(inner.nodes.find((each) => each.title === 'Positive prompt').widgets_values, ['said inside']);
    assert.equal(file.nodes.find((each) => each.type === inner.id).widgets_values.at(-1), 3);

    await on.run(page);
    await on.shot(page, 'ran');
    const [job] = Object.values(await on.ask('history?max_items=1'));
    const values = Object.values(job.prompt[2]);
    assert.equal(values.find((each) => each.class_type === 'KSampler').inputs.steps, 3);
    assert.ok(values.some((each) => each.inputs.text === 'said inside'));

    await on.press(page, 'Subgraph');
    await on.command(page, 'Unpack the subgraph');
    await on.node(page, 'KSampler').waitFor();
    const back = await on.draft(page);
    assert.equal(back.nodes.length, on.FIRST);
    assert.equal(back.nodes.find((each) => each.type === 'KSampler').widgets_values[2], 3);
    await on.eventually(async () => {
      await page.keyboard.press('Control+z');
      return (await on.draft(page)).nodes.length === on.FIRST && (await page.locator('.crumbs').count()) === 0 ? on.draft(page) : null;
    }, (now) => now !== null && JSON.stringify(now.nodes) === JSON.stringify(first.nodes), 'the first graph');
  },

  async nestsSubgraphs(page) {
    await chosen(page, ['Positive prompt', 'Negative prompt']);
    await page.keyboard.press('Control+Shift+g');
    await on.node(page, 'Subgraph').waitFor();
    await chosen(page, ['Subgraph', 'KSampler']);
    await page.keyboard.press('Control+Shift+g');
    await on.eventually(async () => (await on.draft(page)).nodes.length, (count) => count === on.FIRST - 2, 'the outer subgraph');
    await page.keyboard.press('Shift+Enter');
    await on.node(page, 'KSampler').waitFor();
    await on.press(page, 'Subgraph');
    await page.keyboard.press('Shift+Enter');
    await on.node(page, 'Positive prompt').waitFor();
    const crumbs = page.getByRole('navigation', { name: 'Open subgraphs' });
    assert.equal(await crumbs.getByRole('button').count(), 3);
    await on.shot(page, 'deep');
    await on.field(page, 'Positive prompt: text').fill('two levels down');
    await on.rest(page);
    const text = JSON.stringify(await on.draft(page)); // a crash now would lose nothing
    assert.ok(text.includes('two levels down'));
    await crumbs.getByRole('button').first().click();
    await on.node(page, 'Load Checkpoint').waitFor();
    assert.equal(JSON.stringify(await on.draft(page)), text);
    const api = JSON.parse(await on.downloaded(page, () => on.command(page, 'Export for programs')));
    assert.ok(Object.entries(api).some(([id, each]) => id.split(':').length === 3 && each.inputs.text === 'two levels down'));
  },

  async linksPrimitives(page) {
    await page.keyboard.press('Shift+A');
    await page.getByRole('combobox', { name: 'Add a node' }).fill('Primitive');
    await page.keyboard.press('Enter');
    await on.node(page, 'Primitive').waitFor();
    await on.press(page, 'Primitive');
    await page.keyboard.press('c');
    await page.getByRole('combobox', { name: 'Connect' }).fill('*');
    await page.keyboard.press('Enter');
    await page.getByRole('combobox', { name: 'To' }).fill('KSampler steps');
    await page.keyboard.press('Enter');
    await on.field(page, 'steps: value').fill('5');
    await on.rest(page);
    await on.shot(page, 'linked');
    const api = JSON.parse(await on.downloaded(page, () => on.command(page, 'Export for programs')));
    assert.equal(api[5].inputs.steps, 5);
    assert.ok(!Object.values(api).some((each) => each.class_type === 'PrimitiveNode'));
  },

  async framesNodesInGroups(page) {
    await chosen(page, ['Positive prompt', 'Negative prompt']);
    await page.keyboard.press('Control+g');
    const title = page.locator('.frame-title');
    await title.waitFor();
    await title.dblclick();
    await on.field(page, 'Name of the group').fill('Words');
    await page.keyboard.press('Enter');
    await page.locator('.frame-title', { hasText: 'Words' }).waitFor();
    const before = await on.draft(page);
    const { x, y } = await page.locator('.frame-title').boundingBox();
    await page.mouse.move(x + 10, y + 10);
    await page.mouse.down();
    await page.mouse.move(x + 60, y - 120, { steps: 6 });
    await page.mouse.up();
    const after = await on.eventually(() => on.draft(page), (file) => file.groups[0].bounding[1] !== before.groups[0].bounding[1], 'the move');
    const [dx, dy] = [0, 1].map((at) => after.groups[0].bounding[at] - before.groups[0].bounding[at]);
    for (const id of [2, 3]) {
      const [a, b] = [before, after].map((file) => file.nodes.find((each) => each.id === id).pos);
      assert.ok(Math.abs(b[0] - a[0] - dx) <= 1 && Math.abs(b[1] - a[1] - dy) <= 1, `node ${id} goes along`);
    }
    await on.button(page, 'Colour: group Words').press('Enter');
    assert.notEqual((await on.draft(page)).groups[0].color, before.groups[0].color);
    await on.shot(page, 'framed');
    await on.button(page, 'Ungroup: group Words').press('Enter');
    assert.deepEqual((await on.draft(page)).groups, []);
    assert.equal((await on.draft(page)).nodes.length, on.FIRST);
  },

  async bendsLinks(page) {
    const path = page.locator('.react-flow__edge-interaction').first();
    const at = await path.evaluate((each) => {
      const middle = each.getPointAtLength(each.getTotalLength() / 2);
      const { x, y } = middle.matrixTransform(each.getScreenCTM());
      return { x, y };
    });
    await page.mouse.dblclick(at.x, at.y);
    const dot = page.locator('.reroute');
    await dot.waitFor();
    const made = (await on.draft(page)).extra;
    assert.equal(made.reroutes.length, 1);
    assert.equal(made.linkExtensions.length, 1);
    await page.mouse.move(at.x, at.y);
    await page.mouse.down();
    await page.mouse.move(at.x + 10, at.y - 120, { steps: 6 });
    await page.mouse.up();
    const moved = await on.eventually(() => on.draft(page), (file) => file.extra.reroutes[0].pos[1] < made.reroutes[0].pos[1] - 50, 'the move');
    await on.shot(page, 'bent');
    await on.drop(page, 'bent.json', JSON.stringify(moved));
    await on.tab(page, 'bent').waitFor();
    await page.locator('.reroute').waitFor();
    assert.deepEqual((await on.draft(page)).extra, moved.extra);
    await page.locator('.reroute').dblclick();
    await page.locator('.reroute').waitFor({ state: 'detached' });
    assert.equal(await page.locator('.react-flow__edge').count(), 9);
  },
};
