/** Widgets: what a cell and the notebook's page share, both ways. */
export { AnyWidget, type AnyWidgetOptions } from './anywidget';
export { slider, type SliderState, textField, type TextFieldState } from './controls';
export {
  type DrawSteps,
  type PlaygroundOptions,
  type PlaygroundSettings,
  SamplerPlayground,
  samplerPlayground,
} from './sampler-playground';
export { type ChangeOrigin, Widget, type WidgetOptions } from './widget';
