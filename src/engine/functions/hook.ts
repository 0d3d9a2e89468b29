/** Puts other methods between tf.js and TensorFlow's binding for a while. */
import type { Backend, Binding, Methods, TensorData } from './binding';

export interface Notes {
  /** JavaScript made numbers, which are not uploaded yet. */
  made(values: object): void;
  /** tf.js keeps the output of an operation. */
  noted(id: number, data: TensorData): void;
}

/** Runs `work` with `methods` in place of the binding's; whatever happens, the binding is back afterwards. */
export function hooked<R>(backend: Backend, methods: Methods, notes: Notes, work: () => R): R {
  const real = backend.binding;
  const properties = Object.entries(methods).map(([name, value]) => [name, { value: value as unknown }] as const);
  const move = backend.move.bind(backend);
  const create = backend.createOutputTensor.bind(backend);
  backend.binding = Object.create(real, Object.fromEntries(properties)) as Binding;
  backend.move = (dataId, values, ...rest) => {
    if (values) notes.made(values);
    move(dataId, values, ...rest);
  };
  backend.createOutputTensor = (metadata) => {
    const tensor = create(metadata);
    const data = backend.tensorMap.get(tensor.dataId);
    if (data) notes.noted(metadata.id, data);
    return tensor;
  };
  try {
    return work();
  } finally {
    backend.binding = real;
    Reflect.deleteProperty(backend, 'createOutputTensor');
    Reflect.deleteProperty(backend, 'move');
  }
}
