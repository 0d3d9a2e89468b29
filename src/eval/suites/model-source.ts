/** The model of an evaluation: one for all items, or one for each subject, by a `{subject}` in the folder's name. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { modelFolder } from '../../models/adaptation';
import { loadModel } from '../../models/load';
import type { UnifiedModel } from '../../models/unified';
import { SuiteError } from './suite';

export interface ModelSource {
  /** Whether each subject has a model of its own. */
  readonly bySubject: boolean;
  /** Before anything is asked. @throws SuiteError naming the models of subjects that are not there */
  check(subjects: Iterable<string | undefined>): void;
  /** Valid until the next call. @throws SuiteError for a model by subject and an item without one */
  modelOf(subject: string | undefined): Promise<UnifiedModel>;
  dispose(): void;
}

/** Loads when first asked; of models by subject one at a time is in memory. */
export class ModelFolder implements ModelSource {
  readonly bySubject: boolean;
  private loaded?: { readonly folder: string; readonly model: UnifiedModel };

  /** @param folder `runs/{subject}/model`, or a folder's name as it is */
  constructor(
    private readonly folder: string,
    private readonly load: (folder: string) => Promise<UnifiedModel> = loadModel,
  ) {
    this.bySubject = folder.includes('{subject}');
  }

  check(subjects: Iterable<string | undefined>): void {
    const folders = new Set([...new Set(subjects)].map((subject) => this.folderOf(subject)));
    const isModel = (folder: string) => existsSync(path.join(folder, 'config.json'));
    const runs = [...folders].filter((folder) => !isModel(folder) && isModel(modelFolder(folder)));
    if (runs.length > 0) throw new SuiteError(`${runs[0]} is a run's folder: its model is ${modelFolder(runs[0])}`);
    const missing = [...folders].filter((folder) => !existsSync(folder));
    if (missing.length === 0) return;
    const hint = this.bySubject ? '; --only-subjects names those that there are' : '';
    throw new SuiteError(`there is no model ${missing.join(', ')}${hint}`);
  }

  async modelOf(subject: string | undefined): Promise<UnifiedModel> {
    const folder = this.folderOf(subject);
    if (this.loaded?.folder === folder) return this.loaded.model;
    this.dispose();
    this.check([subject]);
    const model = await this.load(folder);
    this.loaded = { folder, model };
    return model;
  }

  private folderOf(subject: string | undefined): string {
    if (this.bySubject && subject === undefined)
      throw new SuiteError(`${this.folder} is a model of each subject, but the item has no subject`);
    return this.folder.replaceAll('{subject}', subject ?? '');
  }

  dispose(): void {
    this.loaded?.model.dispose();
    this.loaded = undefined;
  }
}
