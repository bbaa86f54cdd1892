/** The bar above: the open workflows, and running. */

import { Menu } from '@base-ui/react/menu';
import { ClipboardList, Menu as MenuIcon, Play, Plus, SlidersHorizontal, Square, Timer, X } from 'lucide-react';
import { Rename } from '../canvas/Field';
import { commandById } from '../commands';
import { keysOf, shownKeys } from '../commands/command';
import { closeWithCare } from '../commands/file';
import { newWorkflow } from '../net/run';
import { useDocument, wholeOf } from '../state/documents';
import { useRuns } from '../state/runs';
import { renameTab, switchTab, type Tab, useTabs } from '../state/tabs';
import { useView } from '../state/view';
import { t } from '../words';

export function TopBar() {
  return (
    <header className="topbar">
      <MainMenu />
      <Tabs />
      <RunControls />
      <Inspectors />
    </header>
  );
}

const MENU: readonly (readonly [string, readonly string[]])[] = [
  [
    'File',
    [
      'file.new',
      'view.workflows',
      'file.open',
      'file.save',
      'file.saveAs',
      'file.export',
      'file.exportApi',
      'file.rename',
      'file.duplicate',
      'file.close',
      'file.reopen',
    ],
  ],
  ['Run', ['run.queue', 'run.front', 'run.sweep', 'run.interrupt', 'run.pause', 'run.resume']],
  ['Edit', ['edit.undo', 'edit.redo', 'edit.add', 'view.find', 'edit.group', 'edit.subgraph', 'edit.arrange']],
  [
    'View',
    [
      'view.commands',
      'view.fit',
      'view.fitSelection',
      'view.zoomIn',
      'view.zoomOut',
      'view.realSize',
      'view.tool',
      'view.lock',
      'view.form',
      'view.properties',
      'view.timing',
      'view.minimap',
      'view.snap',
      'view.settings',
      'view.help',
    ],
  ],
];

function MainMenu() {
  return (
    <Menu.Root>
      <Menu.Trigger className="icon-button brand" aria-label={t('Easel menu')}>
        <MenuIcon size={16} />
        <span>Easel</span>
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner className="positioner" sideOffset={6} align="start">
          <Menu.Popup className="menu">
            {MENU.map(([name, ids]) => (
              <Menu.Group key={name}>
                <Menu.GroupLabel className="menu-label">{t(name)}</Menu.GroupLabel>
                {ids.map(commandById).map((each) => (
                  <Menu.Item
                    key={each.id}
                    className="menu-item"
                    disabled={!each.when()}
                    onClick={() => void each.perform()}
                  >
                    <span>{t(each.title)}</span>
                    <kbd>{shownKeys(keysOf(each)[0] ?? '')}</kbd>
                  </Menu.Item>
                ))}
              </Menu.Group>
            ))}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}

function Tabs() {
  const { tabs, active } = useTabs();
  return (
    <div className="tabs">
      <ul aria-label={t('Open workflows')}>
        {tabs.map((each) => (
          <TabItem key={each.id} tab={each} isActive={each.id === active} />
        ))}
      </ul>
      <button type="button" className="icon-button" aria-label={t('New workflow')} onClick={() => newWorkflow()}>
        <Plus size={16} />
      </button>
    </div>
  );
}

function TabItem({ tab, isActive }: { readonly tab: Tab; readonly isActive: boolean }) {
  const isChanged = useDocument((state) => wholeOf(isActive ? state : tab.state) !== tab.saved);
  const isRenaming = useView((state) => state.renaming === 'tab') && isActive;
  const done = (name: string | null): void => {
    useView.setState({ renaming: null });
    if (name) renameTab(tab.id, name);
  };
  return (
    <li className={isActive ? 'tab is-active' : 'tab'}>
      {isRenaming ? (
        <Rename title={tab.name} label={t('Name of the workflow')} done={done} />
      ) : (
        <button
          type="button"
          aria-current={isActive ? 'page' : undefined}
          onClick={() => switchTab(tab.id)}
          onDoubleClick={() => useView.setState({ renaming: 'tab' })}
        >
          {tab.name}
          {isChanged && <span role="img" aria-label={t(', not saved')} className="dirty" />}
        </button>
      )}
      <button
        type="button"
        className="icon"
        aria-label={t('Close {{name}}', { name: tab.name })}
        onClick={() => closeWithCare(tab.id)}
      >
        <X size={12} />
      </button>
    </li>
  );
}

const MOST = 100;

function RunControls() {
  const count = useView((state) => state.count);
  const { remaining, online } = useRuns();
  const perform = (id: string) => () => void commandById(id).perform();
  return (
    <div className="run">
      <button
        type="button"
        className="button primary"
        onClick={perform('run.queue')}
        disabled={!online}
        title={`${t('Run')} (${shownKeys('Mod+Enter')})`}
      >
        <Play size={14} /> {t('Run')}
      </button>
      <input
        type="number"
        className="field count"
        aria-label={t('How many times')}
        min={1}
        max={MOST}
        value={count}
        onChange={(event) =>
          useView.setState({ count: Math.max(1, Math.min(MOST, Math.round(Number(event.target.value)) || 1)) })
        }
      />
      <button
        type="button"
        className="button"
        onClick={perform('run.interrupt')}
        disabled={remaining === 0}
        title={`${t('Stop')} (${shownKeys('Mod+Alt+Enter')})`}
      >
        <Square size={12} /> {t('Stop')}
      </button>
    </div>
  );
}

/** What the panel at the right shows. */
function Inspectors() {
  const inspector = useView((state) => state.inspector);
  return (
    <div className="inspectors">
      {INSPECTORS.map(([which, id, icon]) => {
        const command = commandById(id);
        const keys = keysOf(command)[0];
        return (
          <button
            key={id}
            type="button"
            className="icon-button"
            aria-pressed={inspector === which}
            aria-label={t(command.title)}
            title={keys ? `${t(command.title)} (${shownKeys(keys)})` : t(command.title)}
            onClick={() => void command.perform()}
          >
            {icon}
          </button>
        );
      })}
    </div>
  );
}

const INSPECTORS = [
  ['form', 'view.form', <ClipboardList key="i" size={16} />],
  ['properties', 'view.properties', <SlidersHorizontal key="i" size={16} />],
  ['timing', 'view.timing', <Timer key="i" size={16} />],
] as const;
