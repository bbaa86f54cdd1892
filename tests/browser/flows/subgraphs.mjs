// Subgraphs, primitives, groups and points of links.
import assert from 'node:assert/strict';
import * as on from '../page.mjs';

export default {};
