/** Where one is inside subgraphs, and the way out. */

import { nodeAt, titleOf } from '../doc/document';
import { leaveTo, useDefinitions, useDocument } from '../state/documents';
import { useTabs } from '../state/tabs';
import { useView } from '../state/view';
import { t } from '../words';

export function Crumbs() {
  const outer = useDocument((state) => state.outer);
  const definitions = useDefinitions((state) => state.definitions);
  const { tabs, active } = useTabs();
  if (outer.length === 0) return null;
  const names = outer.map((level) => {
    const node = nodeAt(level.doc, level.node);
    return node ? titleOf(node, definitions.get(level.id)?.title ?? t('Subgraph')) : t('Subgraph');
  });
  const all = [tabs.find((each) => each.id === active)?.name ?? '', ...names];
  return (
    <nav className="crumbs" aria-label={t('Open subgraphs')}>
      {all.map((name, depth) => (
        <button
          // biome-ignore lint/suspicious/noArrayIndexKey: a level is its depth
          key={depth}
          type="button"
          className="button small"
          aria-current={depth === outer.length ? 'page' : undefined}
          onClick={() => {
            leaveTo(depth);
            useView.setState((state) => ({ selected: new Set(), fit: state.fit + 1 }));
          }}
        >
          {name}
        </button>
      ))}
    </nav>
  );
}
