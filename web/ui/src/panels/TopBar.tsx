/** The bar above: the open workflows, and running. */

import { Menu } from '@base-ui/react/menu';
import { Image, ListTree, Menu as MenuIcon, Play, Plus, Rows3, Square, TriangleAlert, X } from 'lucide-react';
import { Rename } from '../canvas/Field';
import { COMMANDS, commandById } from '../commands';
import { shownKeys } from '../commands/command';
import { newWorkflow } from '../net/run';
import { useDocument } from '../state/documents';
import { useRuns } from '../state/runs';
import { closeTab, renameTab, switchTab, type Tab, useTabs } from '../state/tabs';
import { type Panel, togglePanel, useView } from '../state/view';

export function TopBar() {
  return (
    <header className="topbar">
      <MainMenu />
      <Tabs />
      <RunControls />
      <nav className="panel-buttons" aria-label="Panels">
        <PanelButton panel="outline" name="Outline" icon={<ListTree size={16} />} />
        <PanelButton panel="queue" name="Queue and history" icon={<Rows3 size={16} />} />
        <PanelButton panel="gallery" name="Pictures" icon={<Image size={16} />} />
        <PanelButton panel="problems" name="Problems" icon={<TriangleAlert size={16} />} />
      </nav>
    </header>
  );
}

const MENU: readonly (readonly [string, readonly string[]])[] = [
  ['File', ['file.new', 'file.template', 'file.open', 'file.save', 'file.rename', 'file.close']],
  ['Edit', ['edit.undo', 'edit.redo', 'edit.add', 'edit.group', 'edit.arrange']],
  [
    'View',
    [
      'view.commands',
      'view.find',
      'view.outline',
      'view.queue',
      'view.gallery',
      'view.problems',
      'view.fit',
      'view.minimap',
      'view.snap',
      'view.theme.system',
      'view.theme.dark',
      'view.theme.light',
      'view.help',
    ],
  ],
];

function MainMenu() {
  return (
    <Menu.Root>
      <Menu.Trigger className="icon-button brand" aria-label="Easel menu">
        <MenuIcon size={16} />
        <span>Easel</span>
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner className="positioner" sideOffset={6} align="start">
          <Menu.Popup className="menu">
            {MENU.map(([name, ids]) => (
              <Menu.Group key={name}>
                <Menu.GroupLabel className="menu-label">{name}</Menu.GroupLabel>
                {ids.map(commandById).map((each) => (
                  <Menu.Item
                    key={each.id}
                    className="menu-item"
                    disabled={!each.when()}
                    onClick={() => void each.perform()}
                  >
                    <span>{each.title}</span>
                    <kbd>{each.keys[0] ? shownKeys(each.keys[0]) : ''}</kbd>
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
      <ul aria-label="Open workflows">
        {tabs.map((each) => (
          <TabItem key={each.id} tab={each} isActive={each.id === active} />
        ))}
      </ul>
      <button type="button" className="icon-button" aria-label="New workflow" onClick={() => newWorkflow()}>
        <Plus size={16} />
      </button>
    </div>
  );
}

function TabItem({ tab, isActive }: { readonly tab: Tab; readonly isActive: boolean }) {
  const isChanged = useDocument((state) => (isActive ? state.doc : tab.doc) !== tab.saved);
  const isRenaming = useView((state) => state.renaming === 'tab') && isActive;
  const done = (name: string | null): void => {
    useView.setState({ renaming: null });
    if (name) renameTab(tab.id, name);
  };
  return (
    <li className={isActive ? 'tab is-active' : 'tab'}>
      {isRenaming ? (
        <Rename title={tab.name} label="Name of the workflow" done={done} />
      ) : (
        <button
          type="button"
          aria-current={isActive ? 'page' : undefined}
          onClick={() => switchTab(tab.id)}
          onDoubleClick={() => useView.setState({ renaming: 'tab' })}
        >
          {tab.name}
          {isChanged && <span role="img" aria-label=", not saved" className="dirty" />}
        </button>
      )}
      <button type="button" className="icon" aria-label={`Close ${tab.name}`} onClick={() => closeTab(tab.id)}>
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
        title={`Run (${shownKeys('Mod+Enter')})`}
      >
        <Play size={14} /> Run
      </button>
      <input
        type="number"
        className="field count"
        aria-label="How many times"
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
        title={`Stop (${shownKeys('Mod+Alt+Enter')})`}
      >
        <Square size={12} /> Stop
      </button>
    </div>
  );
}

function PanelButton({
  panel,
  name,
  icon,
}: {
  readonly panel: NonNullable<Panel>;
  readonly name: string;
  readonly icon: React.ReactNode;
}) {
  const isOpen = useView((state) => state.panel === panel);
  const remaining = useRuns((state) => state.remaining);
  const key = COMMANDS.find((each) => each.id === `view.${panel}`)?.keys[0];
  return (
    <button
      type="button"
      className="icon-button"
      aria-pressed={isOpen}
      aria-label={panel === 'queue' && remaining ? `${name}, ${remaining} waiting` : name}
      title={key ? `${name} (${key})` : name}
      onClick={() => togglePanel(panel)}
    >
      {icon}
      {panel === 'queue' && remaining > 0 && (
        <span className="badge" aria-hidden="true">
          {remaining}
        </span>
      )}
    </button>
  );
}
