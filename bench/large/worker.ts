/** Loading and working in a process of its own, so that its memory is that of this work alone. */
import { type Precision, startEngine } from '../../src/engine';
import { largeModel } from './models';
import { type LoadedLargeModel, spend } from './work';
import { type Answer, serveLines } from '../line-worker';
import { residentBytes } from '../resident';

/** Serves `load` and `run` until stdin ends. */
export async function serveLargeModel(precision: Precision): Promise<void> {
  const report = await startEngine({ precision, quiet: true });
  let model: LoadedLargeModel | undefined;
  await serveLines(async (command): Promise<Answer> => {
    if (command.do === 'load') {
      const { now: before } = residentBytes();
      const spent = await spend(async () => {
        model = await largeModel(String(command.model)).load(String(command.folder));
      });
      const { now, peak } = residentBytes();
      return { ...report, ...spent, before, after: now, peak, held: 4 * (model?.parameters ?? 0) };
    }
    if (command.do === 'run') {
      if (!model) throw new Error('nothing is loaded');
      const timing = await model.run(Number(command.length), Number(command.count));
      return { ...timing, peak: residentBytes().peak };
    }
    throw new Error(`there is no work '${String(command.do)}'`);
  });
}
