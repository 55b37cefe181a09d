// Starts the dashboard in the page.

import { render } from 'preact';
import { App } from './app.tsx';
import { startLive } from './live.ts';
import { applyTheme } from './settings.ts';

applyTheme();
render(<App />, document.body);
void startLive();
