import test from 'node:test';
import { readdirSync, readFileSync } from 'node:fs';
import vm from 'node:vm';

const here = new URL('.', import.meta.url);
for (const file of readdirSync(here, { recursive: true })) {
  if (file.endsWith('.js')) test(file + ' parses', () => { new vm.SourceTextModule(readFileSync(new URL(file, here), 'utf8'), { identifier: file }); });
}
