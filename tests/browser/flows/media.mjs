// Pictures: made, looked at, changed, used again.
import assert from 'node:assert/strict';
import * as on from '../page.mjs';

export default {};
