import { render } from 'preact';
import { App } from './app.tsx';
import { openSample } from './state.ts';
import './style.css';

const root = document.getElementById('app');
root?.replaceChildren();
if (root) render(<App />, root);
// The sample is there at once, so that there is something to see before a file is chosen.
void openSample();
