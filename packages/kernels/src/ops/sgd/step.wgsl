// One step of stochastic gradient descent with momentum, as PyTorch defines it (dampening 0), over flat arrays of vec4f:
//   g = gradients + decay * p;  v = momentum * v + g;  p -= rate * (nesterov ? g + momentum * v : v).
// parameters, velocity, gradients: [size]. schedule: [steps] vec4f, x = learning rate. clock: [4], word 0 = step.
// With `scaled`, scaling: (scale, unscale, -, -): gradients are taken times unscale, and where that is 0 nothing is changed;
// otherwise any buffer may stand in its place.
// Past the end of the schedule its last entry holds.
// One invocation: 4 vec4f, 64 apart. One workgroup: 256 vec4f. Workgroups may exceed the work: the tail is guarded.

struct Shape { vectors: u32, steps: u32, nesterov: u32, scaled: u32, momentum: f32, decay: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> velocity: array<vec4f>;
@group(0) @binding(3) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(4) var<storage, read> schedule: array<vec4f>;
@group(0) @binding(5) var<storage, read> clock: array<u32>;
@group(0) @binding(6) var<storage, read> scaling: vec4f;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = (group.y * groups.x + group.x) * 256u + lane;
  let rate = schedule[min(clock[0], shape.steps - 1u)].x;
  let unscale = select(1.0, scaling.y, shape.scaled != 0u);
  if (unscale == 0.0) { return; }
  for (var i = base; i < min(base + 256u, shape.vectors); i += 64u) {
    let p = parameters[i];
    let g = unscale * gradients[i] + shape.decay * p;
    let v = shape.momentum * velocity[i] + g;
    velocity[i] = v;
    parameters[i] = p - rate * select(v, g + shape.momentum * v, shape.nesterov != 0u);
  }
}
