/** Controls of ipywidgets, by the names that every front end with widgets knows: https://ipywidgets.readthedocs.io */
import { Widget } from './widget';

const controls = '@jupyter-widgets/controls';
const version = '2.0.0';

const model = (name: string): Record<string, unknown> => ({
  _model_module: controls,
  _model_name: `${name}Model`,
  _model_module_version: version,
  _view_module: controls,
  _view_name: `${name}View`,
  _view_module_version: version,
});

export interface SliderState {
  value: number;
  min: number;
  max: number;
  /** Between two values that can be chosen. */
  step: number;
  description: string;
  disabled: boolean;
}

export interface TextFieldState {
  value: string;
  description: string;
  placeholder: string;
  disabled: boolean;
}

/**
 * ipywidgets' slider. Its value is `slider.state.value`; `slider.on('change', ({ value }) => …)` hears of it.
 * @param options default: from 0 to 1 in steps of 0.01, at `min`
 * @throws RangeError for a range that is none, or a value outside of it
 */
export function slider(options: Partial<SliderState> = {}): Widget<SliderState> {
  const { min = 0, max = 1, step = 0.01, value = min, description = '', disabled = false } = options;
  if (!(min < max && step > 0))
    throw new RangeError(`a slider needs min < max and step > 0, got ${min}, ${max}, ${step}`);
  if (!(value >= min && value <= max)) throw new RangeError(`value must be from ${min} to ${max}, got ${value}`);
  const state = { value, min, max, step, description, disabled };
  return new Widget(model('FloatSlider'), {
    state,
    still: (now) => `${now.description || 'slider'}: ${now.value}`,
    accept: (changes) => {
      const { value: wanted } = changes;
      if (wanted === undefined) return changes;
      const number = Number(wanted);
      return Number.isFinite(number) ? { ...changes, value: Math.min(max, Math.max(min, number)) } : {};
    },
  });
}

/** ipywidgets' text field. Its value changes when the person at the page leaves the field or presses Enter. */
export function textField(options: Partial<TextFieldState> = {}): Widget<TextFieldState> {
  const { value = '', description = '', placeholder = '', disabled = false } = options;
  const fixed = { ...model('Text'), continuous_update: false };
  return new Widget(fixed, {
    state: { value, description, placeholder, disabled },
    still: (now) => `${now.description || 'text'}: ${now.value}`,
    accept: (changes) => ('value' in changes ? { ...changes, value: String(changes.value) } : changes),
  });
}
