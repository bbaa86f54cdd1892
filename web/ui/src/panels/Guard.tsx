/** If the editor itself fails, people are told, and what they made is kept. */

import { Component, type ReactNode } from 'react';

export class Guard extends Component<{ readonly children: ReactNode }, { readonly error: string | null }> {
  override state = { error: null as string | null };

  static getDerivedStateFromError(error: unknown): { error: string } {
    return { error: error instanceof Error ? error.message : String(error) };
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children;
    return (
      <main className="failure" role="alert">
        <h1>The editor has failed</h1>
        <p>What you made is kept in this browser. {this.state.error}</p>
        <button type="button" className="button primary" onClick={() => location.reload()}>
          Load it again
        </button>
      </main>
    );
  }
}
