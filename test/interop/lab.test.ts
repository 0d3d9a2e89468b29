/** The kernel in JupyterLab in a real browser. */
import { after, afterEach, before, beforeEach, describe } from 'node:test';
import { noBrowser } from './browser';
import { noJupyter, noWidgets } from './jupyter';
import { debuggerInLab } from './lab/debugger';
import { displaysInLab } from './lab/displays';
import { LabSession } from './lab/session';
import { widgetsInLab } from './lab/widgets';

const skip = noJupyter ?? noBrowser ?? false;
if (skip) console.log(`JupyterLab in a browser: skipped, ${skip}`);
else if (noWidgets) console.log(`Widgets in JupyterLab: skipped, ${noWidgets}`);

describe('JupyterLab in a browser', { skip }, () => {
  const session = new LabSession();
  before(() => session.start());
  beforeEach(() => session.newPage());
  afterEach(() => session.page.close());
  after(() => session.stop());

  displaysInLab(session);
  debuggerInLab(session);
  widgetsInLab(session, noWidgets);
});
