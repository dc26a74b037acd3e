// y[i, w] = table[(image - first) * views + min(view, views - 1), w] with (image, view) = order[step, i], step = clock[0].
// table: [count, views, words] u32. order: [steps, batch, 2]. clock: [4]. y: [batch, words].
// A void image (0xffffffff), or a step past the order, gives voidWord; an image outside first .. first + count - 1 leaves y as it is.
// One invocation owns a word of y; a workgroup 64 words. Workgroups may exceed the work.

struct Shape { batch: u32, words: u32, views: u32, first: u32, count: u32, steps: u32, voidWord: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<vec2u>;
@group(0) @binding(3) var<storage, read> clock: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (group.y * groups.x + group.x) * 64u + lane;
  if (at >= shape.batch * shape.words) { return; }
  let i = at / shape.words;
  let step = clock[0];
  var entry = vec2u(0xffffffffu);
  if (step < shape.steps) { entry = order[step * shape.batch + i]; }
  if (entry.x == 0xffffffffu) {
    y[at] = shape.voidWord;
    return;
  }
  let local = entry.x - shape.first; // wraps below first, so one comparison tells both sides
  if (local >= shape.count) { return; }
  let row = local * shape.views + min(entry.y, shape.views - 1u);
  y[at] = table[row * shape.words + at % shape.words];
}
