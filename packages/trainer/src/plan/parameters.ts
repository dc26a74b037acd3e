// A network's parameters on the device: one arena for what is trained, one for running statistics, each tensor at an
// aligned offset, so that an optimiser is one dispatch over a flat array.
import { Allocations, type Gpu, type Slice } from '@n2n/kernels';
import { analyse, INPUT_ID, type NetworkSpec } from '../network/index.js';
import { lowerings } from './lower.js';
import { mapLayout, tensorLayout, type SampleLayout, type TensorLayout } from './layout.js';

/** Tensors in PyTorch's shapes and order, by `<node>.<parameter>`. */
export type Weights = ReadonlyMap<string, Float32Array>;

interface Placed {
  readonly layout: TensorLayout;
  readonly offset: number;
}

interface Section {
  readonly tensors: readonly Placed[];
  readonly words: number;
}

/** Device layouts of the network's input and of every node's output. */
export function sampleLayouts(spec: NetworkSpec): ReadonlyMap<string, SampleLayout> {
  const layouts = new Map<string, SampleLayout>();
  layouts.set(INPUT_ID, { channels: spec.input.channels, positions: spec.input.height * spec.input.width });
  for (const { node, outputShape } of analyse(spec).nodes) {
    const inputs = node.inputs.map((id) => layouts.get(id)!);
    layouts.set(node.id, lowerings[node.type]?.layout?.(inputs) ?? mapLayout(outputShape));
  }
  return layouts;
}

function sections(spec: NetworkSpec, alignmentWords: number): { trained: Section; state: Section } {
  const layouts = sampleLayouts(spec);
  const trained: Placed[] = [];
  const state: Placed[] = [];
  const words = { trained: 0, state: 0 };
  for (const { node, parameters } of analyse(spec).nodes) {
    for (const declaration of parameters) {
      const layout = tensorLayout(node, declaration, layouts.get(node.inputs[0]!)!);
      const { role } = declaration;
      (role === 'trained' ? trained : state).push({ layout, offset: words[role] });
      words[role] += Math.ceil(layout.words / alignmentWords) * alignmentWords;
    }
  }
  return { trained: { tensors: trained, words: words.trained }, state: { tensors: state, words: words.state } };
}

/** Bytes of the arenas of what is trained and of running statistics. */
export function parameterBytes(spec: NetworkSpec, alignment: number): { readonly trained: number; readonly state: number } {
  const { trained, state } = sections(spec, alignment / 4);
  return { trained: trained.words * 4, state: state.words * 4 };
}

export class Parameters {
  readonly spec: NetworkSpec;
  /** Words of the trained arena, padding included; gradients and moments have the same. */
  readonly trainedWords: number;
  readonly trained: Slice;
  readonly state: Slice;
  readonly #gpu: Gpu;
  readonly #owned: Allocations;
  readonly #sections: { trained: Section; state: Section };
  readonly #offsets = new Map<string, { offset: number; words: number }>();

  private constructor(
    gpu: Gpu,
    spec: NetworkSpec,
    both: { trained: Section; state: Section },
    trained: Slice,
    state: Slice,
    owned: Allocations,
  ) {
    this.#gpu = gpu;
    this.#owned = owned;
    this.spec = spec;
    this.#sections = both;
    this.trained = trained;
    this.state = state;
    this.trainedWords = both.trained.words;
    for (const { layout, offset } of [...both.trained.tensors, ...both.state.tensors]) {
      this.#offsets.set(layout.name, { offset: offset * 4, words: layout.words });
    }
  }

  static async create(gpu: Gpu, spec: NetworkSpec, weights: Weights): Promise<Parameters> {
    const both = sections(spec, gpu.alignment / 4);
    return Allocations.create(gpu, async (owned) => {
      const trained = await owned.allocate(both.trained.words * 4, `${spec.name} parameters`);
      const state = await owned.allocate(both.state.words * 4, `${spec.name} running statistics`);
      const parameters = new Parameters(gpu, spec, both, trained, state, owned);
      parameters.write(weights);
      return parameters;
    });
  }

  /** The place of a tensor inside an arena that has the trained (or state) arena's shape. */
  within(arena: Slice, name: string): Slice {
    const place = this.#offsets.get(name);
    if (place === undefined) throw new Error(`network "${this.spec.name}" has no tensor "${name}"`);
    return { buffer: arena.buffer, offset: arena.offset + place.offset, size: place.words * 4 };
  }

  write(weights: Weights): void {
    for (const [arena, section] of this.#arenas()) {
      const words = new Float32Array(Math.max(4, section.words));
      for (const { layout, offset } of section.tensors) {
        const file = weights.get(layout.name);
        if (file === undefined) throw new Error(`weights of "${this.spec.name}" lack the tensor "${layout.name}"`);
        words.set(layout.toDevice(file), offset);
      }
      this.#gpu.write(arena, words);
    }
  }

  async read(): Promise<Map<string, Float32Array>> {
    const weights = new Map<string, Float32Array>();
    for (const [arena, section] of this.#arenas()) {
      const words = await this.#gpu.read(arena);
      for (const { layout, offset } of section.tensors) {
        weights.set(layout.name, layout.toFile(words.subarray(offset, offset + layout.words)));
      }
    }
    return weights;
  }

  async destroy(): Promise<void> {
    await this.#owned.destroy();
  }

  #arenas(): [Slice, Section][] {
    return [
      [this.trained, this.#sections.trained],
      [this.state, this.#sections.state],
    ];
  }
}
