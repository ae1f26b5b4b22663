import { render } from 'preact';
import { App } from './app.tsx';
import { keepOffline } from './offline.ts';
import { reachesNetwork, wantedAddress } from './open/reach.ts';
import { takeDrops } from './open/window.ts';
import { openAddress, openSample } from './state/model.ts';
import './styles/tokens.css';
import './styles/base.css';
import './styles/shell.css';
import './styles/open.css';
import './styles/understand.css';
import './styles/choose.css';
import './styles/shrink.css';

takeDrops();
const address = reachesNetwork ? wantedAddress() : undefined;
// The sample is opened at once, so that there is something to see before a file is selected.
void (address ? openAddress(address) : openSample());
const root = document.getElementById('app');
root?.replaceChildren();
if (root) render(<App />, root);
keepOffline();
