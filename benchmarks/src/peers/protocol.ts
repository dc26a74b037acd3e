// What the parent and an engine's process say to each other: one JSON request a line on stdin, one JSON reply a line on file
// descriptor 3 (stdout belongs to the libraries, which print there). Tensors travel as raw float32 files.

/** A raw little-endian file of 32-bit words. */
export interface TensorFile {
  readonly file: string;
  readonly shape: readonly number[];
}

export interface GemmCase {
  readonly kind: 'gemm';
  readonly name: string;
  /** C = A B of square row-major matrices. */
  readonly size: number;
  readonly inputs: { readonly a: TensorFile; readonly b: TensorFile };
}

/** 3x3, stride 1, padding 1, no bias; NCHW and OIHW. */
export interface ConvCase {
  readonly kind: 'conv';
  readonly name: string;
  readonly pass: 'forward' | 'input-gradient' | 'weight-gradient';
  readonly batch: number;
  readonly channels: number;
  readonly size: number;
  readonly filters: number;
  readonly inputs: { readonly x: TensorFile; readonly weight: TensorFile; readonly dy: TensorFile };
}

/** A node as NetworkSpec has it. */
export interface PeerNode {
  readonly id: string;
  readonly type: string;
  readonly inputs: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A whole network: a training step (SGD with momentum on the mean cross-entropy) or an evaluation. */
export interface NetworkCase {
  readonly kind: 'step' | 'eval';
  readonly name: string;
  readonly network: string;
  readonly batch: number;
  readonly classes: number;
  readonly nodes: readonly PeerNode[];
  readonly inputId: string;
  /** x f32 [N, C, H, W], preprocessed; labels i32 [N]. */
  readonly inputs: { readonly x: TensorFile; readonly labels: TensorFile };
  /** `<node>.weight`, ... in PyTorch's shapes; in the nodes' order. */
  readonly weights: Readonly<Record<string, TensorFile>>;
  readonly momentum: number;
  /** Of the steps that are checked. */
  readonly checkRate: number;
  readonly checkSteps: number;
  /** Of the steps that are timed: small, so that none of them runs into denormal or infinite numbers. */
  readonly timedRate: number;
}

/** A student's whole judgement: Adam on the squared distance to the teacher's logits, then the validation images. */
export interface CandidateCase {
  readonly name: string;
  readonly nodes: readonly PeerNode[];
  readonly inputId: string;
  /** Trained words; an engine that builds a network of another size must refuse. */
  readonly parameterCount: number;
  /** Of a validation batch. */
  readonly evaluationBatch: number;
  readonly adam: { readonly beta1: number; readonly beta2: number; readonly epsilon: number; readonly weightDecay: number };
  readonly inputs: {
    /** f32 [N, C, H, W], preprocessed. */
    readonly x: TensorFile;
    /** i32 [N] */
    readonly labels: TensorFile;
    /** f32 [N, classes]: the teacher's logits, computed beforehand. */
    readonly teacher: TensorFile;
    /** i32 [steps, batch]: the images of each step. */
    readonly order: TensorFile;
    /** f32 [steps]: the learning rate of each. */
    readonly rates: TensorFile;
    /** i32 [V]: the images that judge. */
    readonly validation: TensorFile;
  };
  readonly weights: Readonly<Record<string, TensorFile>>;
}

export type PeerCase = GemmCase | ConvCase | NetworkCase;

export interface EngineInfo {
  /** Of the library: `4.22.0`. */
  readonly version: string;
  /** What it computes on, as the engine names it. */
  readonly device: string;
  /** What makes its figures doubtful, or not comparable. */
  readonly note?: string;
}

export type Request =
  /** `variant` is what comes after the engine's name: threads, provider, precision. `flags` are Dawn's, for one and the same adapter. */
  | { readonly do: 'open'; readonly variant: string; readonly flags: readonly string[] }
  /** Loads inputs, compiles, runs the work once. */
  | { readonly do: 'prepare'; readonly case: PeerCase }
  /** Runs the work on the inputs as given and writes what it computes: matrices, or the losses of the first steps. */
  | { readonly do: 'check'; readonly out: string }
  | { readonly do: 'measure'; readonly minimumMs: number }
  | { readonly do: 'release' }
  /** Trains a student and measures it; PyTorch's driver alone does. */
  | { readonly do: 'judge'; readonly case: CandidateCase };

export type Reply =
  | {
      readonly ok: true;
      readonly info?: EngineInfo;
      readonly elapsedMs?: number;
      readonly units?: number;
      /** Of a judgement: fraction of the validation images, and their mean cross-entropy. */
      readonly accuracy?: number;
      readonly loss?: number;
    }
  /** `unsupported`: the engine has no such operation; nothing went wrong. */
  | { readonly ok: false; readonly error: string; readonly unsupported?: boolean };
