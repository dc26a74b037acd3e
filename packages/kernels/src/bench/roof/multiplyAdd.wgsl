// y[i] = sum of 2 chains a = a * factor + term of 32 * rounds links each, started at x[i] and x[i] + 1: multiply-adds in registers only.
// x, y: [invocations] vec4f. factor and term are uniforms, so that nothing folds. One invocation owns one vec4f of y; a workgroup 64.
// Two chains of vec4f are 8 independent sums: more of them spill on lavapipe (4 chains reach 0.7 of the rate, 8 half), and a GPU
// fills its pipes with other invocations. 32 links are the most that Mesa unrolls.

struct Shape { invocations: u32, rounds: u32, factor: f32, term: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= shape.invocations) { return; }
  let factor = vec4f(shape.factor);
  let term = vec4f(shape.term);
  var a0 = x[i];
  var a1 = a0 + 1.0;
  for (var round = 0u; round < shape.rounds; round++) {
    for (var link = 0; link < 32; link++) {
      a0 = fma(a0, factor, term);
      a1 = fma(a1, factor, term);
    }
  }
  y[i] = a0 + a1;
}
