// y[i] = sum of 8 chains a = a * factor + term of 16 * rounds links each, started at x[i] + 0 .. 7: multiply-adds in registers only.
// x, y: [invocations] vec4f. factor and term are uniforms, so that nothing folds. One invocation owns one vec4f of y; a workgroup 64.

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
  var a2 = a0 + 2.0;
  var a3 = a0 + 3.0;
  var a4 = a0 + 4.0;
  var a5 = a0 + 5.0;
  var a6 = a0 + 6.0;
  var a7 = a0 + 7.0;
  for (var round = 0u; round < shape.rounds; round++) {
    for (var link = 0; link < 16; link++) {
      a0 = fma(a0, factor, term);
      a1 = fma(a1, factor, term);
      a2 = fma(a2, factor, term);
      a3 = fma(a3, factor, term);
      a4 = fma(a4, factor, term);
      a5 = fma(a5, factor, term);
      a6 = fma(a6, factor, term);
      a7 = fma(a7, factor, term);
    }
  }
  y[i] = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (a6 + a7));
}
