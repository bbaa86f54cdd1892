// Other views, small screens, other readers, scale.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as on from '../page.mjs';

const require = createRequire(new URL('../../../web/ui/package.json', import.meta.url));

export default {
  async isAccessible(page) {
    const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
    await page.evaluate(axe); // as the developer's console would: the page itself may run no foreign text
    const all = [];
    /** What lies beside or over the graph; the graph itself is looked at where it is the view. */
    const PARTS = '.side, .inspector, .dialog, .palette, .lightbox, .menu, .tour, .empty';
    const check = async (what, isWhole = true) => {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      // the second time only the colours are other ones
      const only = what.endsWith(' light') ? { runOnly: { type: 'rule', values: ['color-contrast'] } } : {};
      const found = await page.evaluate(([only, parts]) => {
        const shown = parts ? [...document.querySelectorAll(parts)] : [document];
        if (shown.length === 0) throw new Error('there is nothing to look at');
        return globalThis.axe.run(parts ? { include: shown } : document, { resultTypes: ['violations'], ...only });
      }, [only, isWhole ? null : PARTS]);
      const bad = found.violations.filter((each) => ['serious', 'critical'].includes(each.impact));
      const words = bad.map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((one) => `${one.html.slice(0, 200)} ${one.failureSummary}`).join(' | ')}`);
      await on.shot(page, what.replaceAll(' ', '-'));
      all.push(...words.map((each) => `${what}: ${each}`));
    };
    // something to see in each view: a run, a picture to take, a chosen node, a subgraph
    await on.small(page);
    await on.rest(page);
    await on.run(page);
    const picture = JSON.stringify({ last_node_id: 2, last_link_id: 0, nodes: [
      { id: 1, type: 'LoadImage', pos: [0, 0], size: [320, 340], flags: {}, order: 0, mode: 0, inputs: [], outputs: [], properties: {}, widgets_values: ['example.png', 'image'] },
      { id: 2, type: 'NoSuchNode', pos: [400, 0], size: [320, 140], flags: {}, order: 1, mode: 0, inputs: [], outputs: [], properties: {}, widgets_values: [] },
      { id: 3, type: 'MarkdownNote', pos: [400, 200], size: [320, 140], flags: {}, order: 2, mode: 4, inputs: [], outputs: [], properties: {}, widgets_values: ['# A note\n**bold** [page](https://example.org) `code`'] },
    ], links: [], groups: [{ title: 'A group', bounding: [-20, -80, 400, 460] }], config: {}, extra: {}, version: 0.4 });
    const escape = () => page.keyboard.press('Escape');
    const opened = (words) => async () => {
      await on.command(page, words);
      await page.getByRole('dialog').last().waitFor();
    };
    const pressed = (key) => () => page.keyboard.press(key);
    const VIEWS = {
      workflows: [pressed('w'), pressed('w'), '.templates .card'],
      outline: [pressed('o'), pressed('o'), '.outline'],
      models: [async () => {
        await page.keyboard.press('b');
        await page.locator('.models summary').first().click();
      }, pressed('b'), '.models details[open] .button'],
      queue: [async () => {
        await page.keyboard.press('q');
        await page.getByRole('button', { name: /^Details of job/ }).first().click();
      }, pressed('q'), '.job-node'],
      gallery: [pressed('g'), pressed('g'), '.gallery .thumb'],
      problems: [pressed('e'), pressed('e'), '.side-problems'],
      properties: [pressed('i'), pressed('i'), '.inspector .value-row'],
      form: [pressed('f'), pressed('f'), '.form-view'],
      timing: [pressed('t'), pressed('t'), '.timing li'],
      commands: [pressed('Control+k'), escape, '.palette [role=option]'],
      'add a node': [pressed('Shift+A'), escape, '.palette [role=option]'],
      connect: [pressed('c'), escape, '.palette [role=option]'],
      find: [pressed('Control+f'), escape, '.palette [role=option]'],
      'help of a node': [pressed('h'), escape, '.node-help'],
      shortcuts: [pressed('?'), escape, '.shortcuts li'],
      settings: [pressed('Control+,'), escape, '.settings'],
      save: [pressed('Control+s'), escape, '.dialog .field'],
      sweep: [opened('Sweep'), escape, '.sweep-axes'],
      differences: [opened('What changed since'), escape, '.dialog'],
      menu: [() => page.getByRole('button', { name: 'Easel menu' }).click(), escape, '.menu-item'],
      'menu of a node': [() => on.node(page, 'KSampler').locator('.node-title').click({ button: 'right' }), escape, '.menu-item'],
      lightbox: [() => on.node(page, 'Save Image').getByRole('button', { name: /show it large/ }).click(), escape, '.recipe dl'],
      tour: [() => on.command(page, 'Show the tour'), () => on.button(page, 'Skip the tour').click(), '.tour'],
      empty: [pressed('Alt+n'), pressed('Alt+w'), '.empty .card'],
    };
    for (const theme of ['dark', 'light']) {
      await on.command(page, `Colours: ${theme}`);
      while (await page.locator('.toast').count()) await page.getByRole('button', { name: 'Dismiss this message' }).first().click();
      await on.press(page, 'KSampler');
      await check(`canvas ${theme}`);
      for (const [name, [open, close, sign]] of Object.entries(VIEWS)) {
        await open();
        await page.locator(sign).first().waitFor();
        await check(`${name} ${theme}`, false);
        await close();
        await page.locator(name === 'canvas' ? 'none' : sign).first().waitFor({ state: 'detached' });
        if (!(await page.locator('.node.is-selected').count())) await on.press(page, 'KSampler');
      }
      await on.drop(page, 'pictures.json', picture);
      await page.getByText('NoSuchNode', { exact: false }).first().waitFor();
      await check(`problems and notes ${theme}`);
      await page.keyboard.press('e');
      await on.button(page, 'Load Image: edit the mask').click();
      await on.button(page, 'Save the mask').waitFor();
      await check(`mask ${theme}`);
      await escape();
      await page.keyboard.press('Control+a');
      await page.keyboard.press('Control+Shift+g');
      await page.keyboard.press('Shift+Enter');
      await page.locator('.crumbs').waitFor();
      await check(`subgraph ${theme}`);
      await page.keyboard.press('Alt+w');
      await page.setViewportSize({ width: 390, height: 844 });
      await page.locator('.phone-form').waitFor();
      await check(`phone ${theme}`);
      await page.setViewportSize({ width: 1440, height: 900 });
      await on.node(page, 'KSampler').waitFor();
    }
    assert.deepEqual(all, []);
    console.log(`${Object.keys(VIEWS).length + 5} views in two themes`);
  },

  async holdsAThousandNodes(page) {
    await on.drop(page, 'many.json', JSON.stringify(grid(1000)));
    await on.tab(page, 'many').waitFor();
    await page.locator('.far-view').waitFor();
    await on.shot(page, 'far');
    const far = await pan(page);
    await page.keyboard.press('Control+f');
    await page.getByRole('combobox', { name: 'Find a node in this workflow' }).fill('500');
    await page.keyboard.press('Enter');
    await on.field(page, 'KSampler: steps').first().waitFor();
    await page.locator('.map').waitFor();
    await on.shot(page, 'near');
    const count = await page.evaluate(() => document.querySelectorAll('*').length);
    const near = await pan(page);
    // the first drawing of the page, with these nodes kept from before
    await on.draft(page);
    await page.reload();
    await on.field(page, 'KSampler: steps').first().waitFor();
    const ready = await page.evaluate(() => Math.round(performance.now()));
    console.log(`${count} elements; panned at ${near} frames a second near, ${far} far; ready after ${ready} ms`);
    assert.ok(count < 3000, `${count} elements`);
  },

  async holdsTwoThousandNodes(page) {
    await on.drop(page, 'more.json', JSON.stringify(grid(2000)));
    await on.tab(page, 'more').waitFor();
    await page.locator('.far-view').waitFor();
    await page.keyboard.press('Control+f');
    await page.getByRole('combobox', { name: 'Find a node in this workflow' }).fill('1500');
    await page.keyboard.press('Enter');
    await on.field(page, 'KSampler: steps').first().waitFor();
    await on.field(page, 'KSampler: steps').first().fill('33');
    await on.rest(page);
    await on.eventually(() => on.draft(page), (file) => file.nodes.filter((each) => each.widgets_values[2] === 33).length === 1, 'the change');
    await page.keyboard.press('Control+z');
    await on.eventually(() => on.draft(page), (file) => file.nodes.every((each) => each.widgets_values[2] === 20), 'undo');
    console.log(`panned at ${await pan(page)} frames a second`);
  },
};

/** Many samplers, each linked to the next, as a file. */
function grid(count) {
  const nodes = Array.from({ length: count }, (_, at) => ({
    id: at + 1, type: 'KSampler', pos: [(at % 40) * 320, Math.floor(at / 40) * 420], size: [270, 300], flags: {}, order: at, mode: 0,
    inputs: [{ name: 'latent_image', type: 'LATENT', link: at || null }], outputs: [{ name: 'LATENT', type: 'LATENT', links: at + 1 < count ? [at + 1] : [] }],
    properties: {}, widgets_values: [at, 'fixed', 20, 8, 'euler', 'normal', 1],
  }));
  const links = Array.from({ length: count - 1 }, (_, at) => [at + 1, at + 1, 0, at + 2, 0, 'LATENT']);
  return { last_node_id: count, last_link_id: count - 1, nodes, links, groups: [], config: {}, extra: {}, version: 0.4 };
}

/** Drag the canvas about; gives frames a second. It is told, not asserted: it depends on the machine. */
async function pan(page) {
  await page.evaluate(() => {
    globalThis.frames = 0;
    globalThis.start = performance.now();
    const count = () => {
      globalThis.frames++;
      requestAnimationFrame(count);
    };
    requestAnimationFrame(count);
  });
  const place = () => page.locator('.react-flow__viewport').evaluate((each) => each.style.transform);
  const before = await place();
  const box = await page.locator('.react-flow__pane').boundingBox();
  const [x, y] = await page.evaluate(({ x, y, width, height }) => {
    for (let down = 6; down < height; down += 6)
      for (let across = 6; across < width; across += 6)
        if (document.elementFromPoint(x + across, y + down)?.classList.contains('react-flow__pane')) return [x + across, y + down];
    return [x, y];
  }, box);
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let turn = 0; turn < 4; turn++) await page.mouse.move(x + (turn % 2 ? 0 : 200), y + turn * 10, { steps: 15 });
  await page.mouse.up();
  assert.notEqual(await place(), before, 'the view did not move');
  return page.evaluate(() => Math.round((1000 * globalThis.frames) / (performance.now() - globalThis.start)));
}
