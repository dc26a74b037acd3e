// dweight[f, ky, kx, c] = sum over n, oy, ox of dy[n, oy, ox, f] x[n, oy sy + ky - top, ox sx + kx - left, c]
// x [N, H, W, C4], dy [N, OH, OW, F4], all as vec4f along the last dimension.
// partial [splits, F4, KH, KW, C4]: output rows (n, oy) are cut into `segments` of `segment` pixels (a multiple of 4), and
// all segments into `splits` runs of `segments_per_split`, each summed into a copy of its own; sum-partials.wgsl adds
// the copies. With one split, partial is dweight itself.
// A matrix product in registers, 4 pixels a step. One lane: 4 channels of one tap, x loaded along c; one workgroup: one
// subgroup, SUBGROUP such columns x ROWS filters in one split (workgroup_id.z). 4 pixels x ROWS filters of dy are loaded
// once a subgroup and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is a multiple of 4 and divides 4 SUBGROUP. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const COLUMNS = ROWS / 4u;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  segment: u32, segments: u32, all_segments: u32, segments_per_split: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

fn load(line: i32, ix: i32, inside: bool, c: u32) -> vec4f {
  let ok = inside && ix >= 0 && ix < shape.width;
  return select(vec4f(), x[u32(select(0, line + ix, ok)) * shape.channels4 + c], ok);
}

fn load_gradient(row: u32, ox: u32, f: u32) -> vec4f {
  let at = row * shape.out_width + min(ox, shape.out_width - 1u);
  return select(vec4f(), dy[at * shape.filters4 + f], ox < shape.out_width);
}

fn store(at: u32, f: u32, row: u32, ok: bool, s: mat4x4f) {
  if (!ok || f >= shape.filters4) { return; }
  partial[at + 4u * f * row] = s[0];
  partial[at + (4u * f + 1u) * row] = s[1];
  partial[at + (4u * f + 2u) * row] = s[2];
  partial[at + (4u * f + 3u) * row] = s[3];
}

// Number i of a step's vec4f, in every lane.
fn spread(w: ptr<function, array<vec4f, LOADS>>, i: u32) -> vec4f {
  return subgroupShuffle((*w)[i / SUBGROUP], i % SUBGROUP);
}

// Column j: the 4 pixels of filter 4 q + j.
fn rows_of(w: ptr<function, array<vec4f, LOADS>>, q: u32) -> mat4x4f {
  return transpose(mat4x4f(spread(w, q), spread(w, q + COLUMNS), spread(w, q + 2u * COLUMNS), spread(w, q + 3u * COLUMNS)));
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let row = shape.kernel_height * shape.kernel_width * shape.channels4;
  let blocks = (shape.filters4 + COLUMNS - 1u) / COLUMNS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * COLUMNS;
  let own = tile / blocks * SUBGROUP + lane;
  let c = min(own, row - 1u) % shape.channels4;
  let tap = min(own, row - 1u) / shape.channels4;
  let dy_rows = i32(tap / shape.kernel_width) - shape.top;
  let dx_columns = i32(tap % shape.kernel_width) - shape.left;
  // The 4 pixels x COLUMNS vec4f of a step lie in lanes in this order, over LOADS loads.
  let column = min(first + lane % COLUMNS, shape.filters4 - 1u);
  let step = lane / COLUMNS;
  // Loops over sums go over at most 4 elements: longer ones are not unrolled, and then sums would leave the registers.
  var sums: array<mat4x4f, COLUMNS>;
  let start = group.z * shape.segments_per_split;
  let end = min(start + shape.segments_per_split, shape.all_segments);
  for (var s = start; s < end; s++) {
    let r = s / shape.segments;
    let iy = i32(r % shape.out_height) * shape.stride_y + dy_rows;
    let inside = iy >= 0 && iy < shape.height;
    let line = (i32(r / shape.out_height) * shape.height + iy) * shape.width;
    let begin = s % shape.segments * shape.segment;
    let stop = min(begin + shape.segment, shape.out_width);
    for (var ox = begin; ox < stop; ox += 4u) {
      var w: array<vec4f, LOADS>;
      for (var i = 0u; i < LOADS; i++) { w[i] = load_gradient(r, ox + i * (SUBGROUP / COLUMNS) + step, column); }
      let ix = i32(ox) * shape.stride_x + dx_columns;
      let m = mat4x4f(load(line, ix, inside, c), load(line, ix + shape.stride_x, inside, c),
        load(line, ix + 2 * shape.stride_x, inside, c), load(line, ix + 3 * shape.stride_x, inside, c));
      for (var q = 0u; q < min(COLUMNS, 4u); q++) { sums[q] += m * rows_of(&w, q); }
      for (var q = 4u; q < COLUMNS; q++) { sums[q] += m * rows_of(&w, q); }
    }
  }
  let out = group.z * shape.filters4 * 4u * row + own;
  for (var q = 0u; q < COLUMNS; q++) {
    store(out, first + q, row, own < row, sums[q]);
  }
}
