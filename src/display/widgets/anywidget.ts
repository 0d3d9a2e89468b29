/** Widgets whose page side is given with them, as one ES module: https://anywidget.dev */
import { Widget, type WidgetOptions } from './widget';

export interface AnyWidgetOptions<S extends object> extends WidgetOptions<S> {
  /**
   * The source of an ES module for the page: `export default { render({ model, el }) { … } }`. There `model.get(name)`,
   * `model.set(name, value)`, `model.save_changes()` and `model.on('change:name', listener)` are this state.
   */
  readonly _esm: string;
  /** A style sheet for the page. */
  readonly _css?: string;
}

/**
 * A widget for any front end that knows anywidget: JupyterLab with `pip install anywidget`, VS Code, Colab. Where none
 * does, and in a saved notebook, its {@link WidgetOptions.still} is shown.
 *
 *     const counter = new AnyWidget({ state: { count: 0 }, _esm: 'export default { render({ model, el }) { … } }' });
 *     counter.on('change', ({ count }) => console.log(count));
 *     counter.set({ count: 5 });
 */
export class AnyWidget<S extends object> extends Widget<S> {
  /** @throws TypeError for `_esm` that is no text */
  constructor({ _esm, _css, ...options }: AnyWidgetOptions<S>) {
    if (typeof _esm !== 'string' || _esm.trim() === '')
      throw new TypeError("_esm must be the source of an ES module: 'export default { render({ model, el }) { … } }'");
    // Every version has the same interface for the module.
    const [module, version] = ['anywidget', '*'];
    super(
      {
        _model_module: module,
        _model_name: 'AnyModel',
        _model_module_version: version,
        _view_module: module,
        _view_name: 'AnyView',
        _view_module_version: version,
        _view_count: null,
        _anywidget_id: `unilab.${new.target.name}`,
        _esm,
        ...(_css === undefined ? {} : { _css }),
      },
      options,
    );
  }
}
