import test from 'node:test';
import assert from 'node:assert/strict';
import { apiPath, href, parse } from './route.js';

test('addresses', () => {
  assert.deepEqual(parse(''), { path: [], params: {} });
  assert.deepEqual(parse('#/'), { path: [], params: {} });
  assert.deepEqual(parse('#/tasks/a%2Fb?state=FAILED&q=x%20y'), { path: ['tasks', 'a/b'], params: { state: 'FAILED', q: 'x y' } });
  assert.deepEqual(parse('#/jobs/%E0%A4%A'), { path: ['jobs', '%E0%A4%A'], params: {} }, 'what is no escape stays');
  for (const id of ['n1.p3', '<b>&"', 'a/b?c#d', 'é😀']) assert.deepEqual(parse(href(['jobs', id], { q: id, none: '' })), { path: ['jobs', id], params: { q: id } });
});

test('paths of the API', () => {
  assert.equal(apiPath('api/v0/nodes'), 'api/v0/nodes');
  assert.equal(apiPath('api/v0/tasks', { limit: 5, q: '' }, [['state', '=', 'A&B']]), 'api/v0/tasks?limit=5&filter_keys=state&filter_predicates=%3D&filter_values=A%26B');
});
