/** The `webgpu` engine: tf.js on any GPU with a Vulkan, Metal or Direct3D driver, through Dawn for Node. */
import * as tf from '@tensorflow/tfjs';
import { EngineError, type EngineReport, type StartOptions } from './report';

/** What is used of the WebGPU interface; the types of the web are not all in TypeScript's library. */
interface Adapter {
  readonly features: { has(name: string): boolean };
  readonly limits: Record<string, number>;
  readonly info: { vendor: string; architecture: string; device: string; description: string };
  requestDevice(options: object): Promise<Device>;
}
interface Device {
  addEventListener(name: 'uncapturederror', listener: (event: { error?: { message?: string } }) => void): void;
  readonly lost: Promise<{ reason: string; message: string }>;
}
interface Dawn {
  create(flags: string[]): { requestAdapter(options: object): Promise<Adapter | null> };
  readonly globals: object;
}
interface WebgpuBackendModule {
  readonly WebGPUBackend: new (device: Device, info: Adapter['info']) => tf.KernelBackend;
  readonly version_webgpu?: string;
}

// Without these a tensor beyond the default limits (128 MiB) would silently read as zeros.
const limits = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
  'maxStorageBuffersPerShaderStage',
];

const software = /swiftshader|llvmpipe|lavapipe|software|basic render/i;

// Dawn's instance must outlive the device; a collected one takes the process with it.
const held: unknown[] = [];

/**
 * Always computes in float32: tf.js has no half precision. Values are read with `await tensor.data()`; `dataSync`
 * cannot be had.
 * @param forced true: a software adapter will do (correct, slow); false: only a GPU
 * @throws EngineError when no fitting adapter answers
 */
export async function startWebgpu(_options: StartOptions, forced = false): Promise<EngineReport> {
  let adapter: Adapter | null;
  try {
    const dawn = (await import('webgpu')) as unknown as Dawn;
    Object.assign(globalThis, dawn.globals);
    const gpu = dawn.create([]);
    held.push(gpu);
    // Set before the backend is imported: it looks for it then.
    const scope = globalThis as { navigator?: object };
    if (!scope.navigator) Object.defineProperty(scope, 'navigator', { value: {}, configurable: true, writable: true });
    Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true });
    adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    throw new EngineError(`the webgpu engine does not load: ${firstLine(error)}`, 'run `npm ci`');
  }
  if (!adapter) {
    const mend = 'install a Vulkan driver for the GPU (mesa-vulkan-drivers, or NVIDIA’s own)';
    throw new EngineError('the webgpu engine finds no GPU', mend);
  }
  const { info } = adapter;
  const name = [info.vendor, info.architecture, info.description || info.device].filter(Boolean).join(' ');
  if (software.test(name) && !forced) {
    throw new EngineError(`the webgpu engine finds no GPU, only ${name}`, 'UNILAB_ENGINE=webgpu uses it all the same');
  }
  return { ...(await useAdapter(adapter)), device: name };
}

async function useAdapter(adapter: Adapter): Promise<Omit<EngineReport, 'device'>> {
  try {
    const requiredLimits = Object.fromEntries(
      limits.filter((key) => adapter.limits[key] !== undefined).map((key) => [key, adapter.limits[key]]),
    );
    const requiredFeatures = ['shader-f16', 'subgroups', 'timestamp-query'].filter((f) => adapter.features.has(f));
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
    device.addEventListener('uncapturederror', (event) => {
      // Thrown where nothing catches it: what was computed since is not to be trusted.
      const what = event.error?.message?.split('\n')[0] ?? 'unknown';
      process.nextTick(() => {
        throw new EngineError(`the GPU reports an error: ${what}`, 'use a smaller batch, or another UNILAB_ENGINE');
      });
    });
    const backend = require('@tensorflow/tfjs-backend-webgpu') as WebgpuBackendModule;
    tf.removeBackend('webgpu'); // registered by the import, with default limits
    tf.registerBackend('webgpu', () => new backend.WebGPUBackend(device, adapter.info), 3);
    if (!(await tf.setBackend('webgpu'))) throw new Error('tf.js refused it');
    await tf.ready();
    const library = backend.version_webgpu ?? tf.version_core;
    return { engine: 'webgpu', precision: 'float32', library, tfjs: tf.version_core };
  } catch (error) {
    throw new EngineError(`the webgpu engine does not start: ${firstLine(error)}`, 'update the GPU’s driver');
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}
