// Building and editing graphs.
import assert from 'node:assert/strict';
import * as on from '../page.mjs';

export default {
  async opens(page) {
    assert.equal(await page.locator('.react-flow__node').count(), on.FIRST);
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
    const bare = await on.draft(page);
    assert.deepEqual(bare.links, []);
    await page.keyboard.press('Control+k'); // a command that cannot be used is told of, and none like it is taken for it
    await page.getByRole('combobox', { name: 'Commands' }).waitFor();
    await page.keyboard.type('Unpack the subgraph');
    assert.equal(await page.locator('.palette [role=option]').first().getAttribute('aria-disabled'), 'true');
    await page.keyboard.press('Enter');
    await page.getByText('Unpack the subgraph cannot be used now.').waitFor();
    await page.keyboard.press('Escape');
    assert.deepEqual(await on.draft(page), bare);
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

  async keepsLinksWhenNodesCome(page) {
    const paths = () => page.locator('.react-flow__edge-path').evaluateAll((all) => all.map((each) => each.getAttribute('d')));
    const before = [await paths(), (await on.draft(page)).links];
    assert.equal(before[0].length, 9);
    await page.keyboard.press('Shift+A');
    await page.getByRole('combobox', { name: 'Add a node' }).fill('VAEDecode');
    await page.keyboard.press('Enter');
    await on.eventually(() => page.locator('.react-flow__node').count(), (count) => count === on.FIRST + 1, 'another node');
    assert.deepEqual([await paths(), (await on.draft(page)).links], before);
    await page.keyboard.press('Delete');
    await on.eventually(() => page.locator('.react-flow__node').count(), (count) => count === on.FIRST, 'the first nodes');
    assert.deepEqual([await paths(), (await on.draft(page)).links], before);
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
    assert.equal((await on.draft(page)).nodes.length, on.FIRST);
  },

  async buildsByMouse(page) {
    await on.button(page, 'New workflow').click();
    await page.getByText('An empty workflow').waitFor();
    const places = { CheckpointLoaderSimple: [80, 120], CLIPTextEncode: [420, 90], EmptyLatentImage: [80, 420], KSampler: [790, 90], VAEDecode: [1130, 120], SaveImage: [1130, 330] };
    for (const [type, [x, y]] of Object.entries(places)) {
      await page.mouse.dblclick(x, y + 60);
      await page.getByRole('combobox', { name: 'Add a node' }).fill(type);
      await page.getByRole('option').first().click();
      await page.locator('.palette').waitFor({ state: 'detached' });
      await on.eventually(async () => (await on.draft(page)).nodes.some((each) => each.type === type), Boolean, type);
      await on.rest(page);
    }
    await on.press(page, 'CLIP Text Encode');
    await page.getByRole('toolbar', { name: 'Selection' }).getByRole('button', { name: 'Duplicate' }).click();
    const { x, y } = await page.locator('.node.is-selected .node-title').boundingBox();
    await page.mouse.move(x + 20, y + 8);
    await page.mouse.down();
    await page.mouse.move(x - 20, y + 230, { steps: 8 });
    await page.mouse.up();
    await on.rest(page);
    await on.fit(page);
    const texts = on.node(page, 'CLIP Text Encode');
    const pull = (from, to) => on.pull(page, from, to);
    for (const at of [0, 1]) await pull(on.socket(page, 'Load Checkpoint', 'out:1'), texts.nth(at).locator('[data-handleid="in:clip"]'));
    await pull(on.socket(page, 'Load Checkpoint', 'out:0'), on.socket(page, 'KSampler', 'in:model'));
    await pull(texts.nth(0).locator('[data-handleid="out:0"]'), on.socket(page, 'KSampler', 'in:positive'));
    await pull(texts.nth(1).locator('[data-handleid="out:0"]'), on.socket(page, 'KSampler', 'in:negative'));
    await pull(on.socket(page, 'Empty Latent Image', 'out:0'), on.socket(page, 'KSampler', 'in:latent_image'));
    await pull(on.socket(page, 'KSampler', 'out:0'), on.socket(page, 'VAE Decode', 'in:samples'));
    await pull(on.socket(page, 'Load Checkpoint', 'out:2'), on.socket(page, 'VAE Decode', 'in:vae'));
    await pull(on.socket(page, 'VAE Decode', 'out:0'), on.socket(page, 'Save Image', 'in:images'));
    await on.eventually(async () => (await on.draft(page)).links.length, (count) => count === 9, 'nine links');
    await on.field(page, 'Empty Latent Image: width').fill('64');
    await on.field(page, 'Empty Latent Image: height').fill('64');
    await on.field(page, 'KSampler: steps').fill('12');
    await on.rest(page);
    await on.button(page, 'Run').click();
    await on.node(page, 'Save Image').locator('.picture img').waitFor({ timeout: on.RUN_MS });
    await on.shot(page, 'made');
  },

  async buildsByKeyboard(page) {
    await page.mouse.move(0, 0); // and never again
    await page.keyboard.press('Alt+n');
    await page.getByText('An empty workflow').waitFor();
    const ids = {};
    const add = async (type, name = type) => {
      await page.keyboard.press('Shift+A');
      await page.getByRole('combobox', { name: 'Add a node' }).waitFor();
      await page.keyboard.type(type);
      await page.keyboard.press('Enter');
      const made = await on.eventually(() => page.evaluate(() => (document.querySelector('.palette') ? null : document.activeElement?.dataset?.id)), Boolean, name);
      ids[name] = made;
    };
    /** Choose a node by its name, as people do who see no canvas. */
    const go = async (name) => {
      await page.keyboard.press('Control+f');
      await page.getByRole('combobox', { name: 'Find a node in this workflow' }).waitFor();
      await page.keyboard.type(ids[name] === undefined ? name : `· ${ids[name]}`);
      await page.keyboard.press('Enter');
      await page.locator('.palette').waitFor({ state: 'detached' });
      await page.locator(`.react-flow__node[data-id="${ids[name]}"] .node.is-selected`).waitFor();
    };
    const link = async (from, output, to) => {
      await go(from);
      await page.keyboard.press('c');
      await page.getByRole('combobox', { name: 'Connect' }).waitFor();
      await page.keyboard.type(output);
      await page.keyboard.press('Enter');
      await page.getByRole('combobox', { name: 'To' }).waitFor();
      await page.keyboard.type(to);
      await page.keyboard.press('Enter');
      await page.locator('.palette').waitFor({ state: 'detached' });
    };
    await add('CheckpointLoaderSimple', 'loader');
    await add('CLIPTextEncode', 'good');
    await add('CLIPTextEncode', 'bad');
    await add('EmptyLatentImage', 'latent');
    await add('KSampler', 'sampler');
    await add('VAEDecode', 'decoder');
    await add('SaveImage', 'save');
    await link('loader', 'CLIP', 'CLIP Text Encode');
    await link('loader', 'CLIP', 'CLIP Text Encode'); // the other one: what is linked is not offered again
    await link('loader', 'MODEL', 'KSampler');
    await link('good', 'CONDITIONING', 'KSampler positive');
    await link('bad', 'CONDITIONING', 'KSampler negative');
    await link('latent', 'LATENT', 'KSampler');
    await link('sampler', 'LATENT', 'VAE Decode');
    await link('loader', 'VAE', 'VAE Decode');
    await link('decoder', 'IMAGE', 'Save Image');
    assert.equal((await on.draft(page)).links.length, 9);
    await page.keyboard.press('Shift+L');
    await go('latent');
    /** Tab from a node into its fields and type. */
    const type = async (name, label, value) => {
      await page.locator(`.react-flow__node[data-id="${ids[name]}"]`).focus();
      await on.eventually(async () => {
        await page.keyboard.press('Tab');
        return page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
      }, (found) => found === label, label);
      await page.keyboard.press('Control+a');
      await page.keyboard.type(value);
      await page.keyboard.press('Enter');
    };
    await type('latent', 'Empty Latent Image: width', '64');
    await type('latent', 'Empty Latent Image: height', '64');
    await type('sampler', 'KSampler: steps', '3');
    await on.command(page, 'Show the whole graph');
    await page.keyboard.press('Control+Enter');
    await on.node(page, 'Save Image').locator('.picture img').waitFor({ timeout: on.RUN_MS });
    await on.shot(page, 'made');
  },

  /** Commands by chance, but the same each time: of every kind that changes a graph. */
  async undoesTwoHundredCommands(page) {
    let seed = 20261121;
    const draw = (count) => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return Math.floor((seed / 2147483648) * count);
    };
    const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
    const file = async () => (await on.draftText(page)).replace(/"(active|id)":"[0-9a-f]{16}",?/g, '');
    const lists = () => page.evaluate(() => document.querySelectorAll('.palette [role=option]').length);
    /** Take one of the palette's answers by chance; false if it has none. */
    const pick = async (limit = 40) => {
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      if ((await page.locator('.palette').count()) === 0) return false; // there was nothing to ask
      await page.waitForFunction(() => document.activeElement?.classList.contains('palette-field'));
      const count = Math.min(limit, await lists());
      if (count === 0) await press('Escape');
      else await press(...Array(draw(count)).fill('ArrowDown'), 'Enter');
      return count > 0;
    };
    /** The fields that are drawn, and what another value of them is. */
    const edit = async () => {
      const values = { number: `${1 + draw(60)}`, text: `words ${draw(1000)}`, choice: draw(7) };
      await page.evaluate(([at, values]) => {
        const fields = [...document.querySelectorAll('.node input:not([type=file]):not([type=checkbox]), .node textarea, .node select')].filter((each) => !each.disabled && !each.readOnly);
        const field = fields[at % fields.length];
        if (!field) return;
        field.focus();
        const value = field instanceof HTMLSelectElement ? field.options[values.choice % field.options.length].value : field instanceof HTMLTextAreaElement || !/^[\d.]+$/.test(field.value) ? values.text : values.number;
        Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field, value);
        field.dispatchEvent(new Event(field instanceof HTMLSelectElement ? 'change' : 'input', { bubbles: true }));
        field.blur();
      }, [draw(1000), values]);
    };
    const KEYS = ['Control+d', 'Control+m', 'Control+b', 'Alt+c', 'p', 'ArrowRight', 'ArrowDown', 'Alt+ArrowRight', 'Control+g', 'Shift+L', 'Delete', 'Control+c', 'Control+Shift+v'];
    const chooseLink = async () => {
      await press('Escape', 'k');
      const isChosen = await pick();
      await page.locator('.palette').waitFor({ state: 'detached' });
      return isChosen;
    };
    const chooseSubgraph = () => page.evaluate(() => document.querySelector('.react-flow__node:has([aria-label^="Open the subgraph"])')?.focus({ focusVisible: true }));
    const KINDS = {
      key: () => press(KEYS[draw(KEYS.length)]),
      edit,
      link: async () => {
        await press('c');
        if (await pick(4)) await pick();
      },
      unlink: async () => {
        if (await chooseLink()) await press('Delete');
      },
      bend: async () => {
        if (!(await chooseLink())) return;
        await on.command(page, 'Add a point to the chosen link');
        await press('ArrowDown');
      },
      pack: async () => {
        const packed = (await on.draft(page)).nodes.filter((each) => each.type.includes('-')).length; // subgraphs have long ids
        if (packed < 3) await press('Control+Shift+g');
      },
      unpack: async () => {
        await chooseSubgraph();
        await press('Control+k');
        await page.getByRole('combobox', { name: 'Commands' }).fill('Unpack the subgraph');
        const isThere = (await page.getByRole('option').first().textContent().catch(() => '')) === 'Unpack the subgraph';
        await press(isThere ? 'Enter' : 'Escape'); // what is like it, and can be done, is another command
      },
      inside: async () => {
        await chooseSubgraph();
        await press('Shift+Enter');
        if ((await page.locator('.crumbs').count()) === 0) return;
        await edit();
        await press('Control+a', 'ArrowRight', 'Shift+Escape');
      },
    };
    const CHANCES = Object.entries({ key: 7, edit: 4, link: 7, unlink: 2, bend: 4, pack: 2, unpack: 2, inside: 2 }).flatMap(([kind, weight]) => Array(weight).fill(kind));
    const first = await file();
    const did = {};
    const seen = { links: new Set(), reroutes: 0, subgraphs: 0 };
    let before = first;
    for (let turn = 0; turn < 200; turn++) {
      const now = await on.draft(page);
      seen.links.add(now.links.length);
      seen.reroutes = Math.max(seen.reroutes, now.extra.reroutes?.length ?? 0);
      seen.subgraphs = Math.max(seen.subgraphs, now.definitions?.subgraphs?.length ?? 0);
      if (now.nodes.length === 0 || now.nodes.length > 24) {
        await press('Control+z');
        continue;
      }
      await press('Control+a');
      // all nodes, or one by its place
      if (draw(8) > 0)
        await page.evaluate((at) => {
          const drawn = document.querySelectorAll('.react-flow__node:not([data-id^="group"])');
          drawn[at % drawn.length]?.focus({ focusVisible: true });
        }, draw(1000));
      const kind = CHANCES[draw(CHANCES.length)];
      await KINDS[kind]();
      await page.locator('.palette').waitFor({ state: 'detached' });
      const after = await file();
      if (after !== before) did[kind] = (did[kind] ?? 0) + 1;
      before = after;
    }
    console.log(JSON.stringify(did), JSON.stringify({ ...seen, links: seen.links.size }), before.length);
    for (const kind of Object.keys(KINDS)) assert.ok(did[kind] > 0, `no ${kind} changed the graph`);
    assert.ok(Object.values(did).reduce((sum, each) => sum + each) >= 80, 'too few commands changed the graph');
    assert.ok(seen.links.size > 5 && seen.reroutes > 1 && seen.subgraphs > 0);
    const last = await file();
    assert.notEqual(last, first);
    /** Press a key as long as it changes the graph. */
    const goOn = async (key) => {
      for (let old = ''; old !== (old = await file()); ) await press(...Array(25).fill(key));
      return file();
    };
    assert.equal(await goOn('Control+z'), first);
    assert.equal(await goOn('Control+Shift+z'), last);
  },

  async copiesBetweenTabs(page) {
    await on.press(page, 'KSampler');
    await page.keyboard.press('Control+c');
    await page.keyboard.press('Alt+n');
    await page.keyboard.press('Control+v');
    const there = await on.eventually(() => on.draft(page), (file) => file.nodes.length === 1, 'the copy');
    assert.equal(there.nodes[0].type, 'KSampler');
    assert.deepEqual(there.nodes[0].widgets_values.slice(2), [25, 4, 'dpmpp_2m', 'karras', 1]);
    assert.deepEqual(there.links, []);
    await page.keyboard.press('Alt+PageUp');
    await on.node(page, 'Load Checkpoint').waitFor();
    await page.keyboard.press('Control+Shift+v'); // with the links that came in
    const back = await on.eventually(() => on.draft(page), (file) => file.nodes.length === on.FIRST + 1, 'the copy with links');
    assert.equal(back.links.filter((each) => each[3] === back.nodes.at(-1).id).length, 4);
  },

  async movesAndCutsLinks(page) {
    const ends = async () => (await on.draft(page)).links.map((each) => `${each[1]}.${each[2]}-${each[3]}.${each[4]}`).sort();
    const before = await ends();
    await on.press(page, 'VAE Decode');
    await on.command(page, 'Remove all links');
    assert.equal((await ends()).length, before.length - 3);
    await page.keyboard.press('Control+z');
    assert.deepEqual(await ends(), before);
    // the end of a link is taken to another input, then dropped on nothing
    const into = async (input) => (await on.draft(page)).nodes.find((each) => each.id === 5).inputs.find((each) => each.name === input).link;
    const grab = async () => {
      const { x, y, height } = await on.socket(page, 'KSampler', 'in:positive').boundingBox();
      await page.mouse.move(x - 4, y + height / 2);
      await page.mouse.down();
    };
    const { x, y, width, height } = await on.socket(page, 'KSampler', 'in:negative').boundingBox();
    await grab();
    await page.mouse.move(x - 30, y + height / 2, { steps: 4 });
    await page.mouse.move(x + width / 2, y + height / 2, { steps: 4 });
    await page.mouse.up();
    await on.eventually(() => into('positive'), (link) => link === null, 'the moved end');
    assert.equal((await ends()).length, before.length - 1);
    await page.keyboard.press('Control+z');
    await on.eventually(ends, (now) => now.join() === before.join(), 'the first links');
    await grab();
    await page.mouse.move(x - 60, y + 320, { steps: 6 });
    await page.mouse.up();
    await on.eventually(() => into('positive'), (link) => link === null, 'the cut link');
    await page.locator('.palette').waitFor({ state: 'detached' });
    await page.keyboard.press('Control+z');
    await on.eventually(ends, (now) => now.join() === before.join(), 'the first links');
  },
};
