// dweight[f, ky, kx] = sum over n, oy, ox of dy[n, oy, ox, f] x[n, oy sy + ky - top, ox sx + kx - left], for one channel.
// x [N, H, W, 4], of which only the first of 4 words is read; dy [N, OH, OW, F4] by the word.
// partial [splits, F4, KH, KW, 4], zero but for the first of 4 words: the rows (n, oy) are cut into `splits` runs of
// `rows_per_split`, each summed into a copy of its own; sum-partials.wgsl adds the copies. With one split, partial is dweight.
// Everything but the taps in registers, 4 pixels a step. One lane: PER_LANE filters, dy loaded by the word, at LINES x TAPS
// taps; one workgroup: one subgroup in one split (workgroup_id.z). x is loaded once a subgroup (lane = column) and broadcast.
// Preconditions: the subgroup size is SUBGROUP; STRIDE is the horizontal step. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const PER_LANE = 2u;
const LINES = 3u;
const TAPS = 3u;
const STRIDE = 1u;
const WINDOW = 3u * STRIDE + TAPS;
const LOADS = (WINDOW + SUBGROUP - 1u) / SUBGROUP;

struct Shape {
  height: i32, width: i32, filters: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32, rows: u32, rows_per_split: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial: array<vec4f>;

fn load(line: i32, ix: i32, inside: bool) -> f32 {
  let ok = inside && ix >= 0 && ix < shape.width;
  return select(0.0, x[u32(select(0, line + ix, ok))].x, ok);
}

fn load_gradient(row: u32, ox: u32, f: u32) -> f32 {
  let at = row * shape.out_width + min(ox, shape.out_width - 1u);
  return select(0.0, dy[at * shape.filters + f], ox < shape.out_width);
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters + PER_LANE * SUBGROUP - 1u) / (PER_LANE * SUBGROUP);
  let across = (shape.kernel_width + TAPS - 1u) / TAPS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * PER_LANE * SUBGROUP + lane;
  let kx = tile / blocks % across * TAPS;
  let ky = tile / blocks / across * LINES;
  var sums: array<array<f32, LINES * TAPS>, PER_LANE>;
  let start = group.z * shape.rows_per_split;
  let end = min(start + shape.rows_per_split, shape.rows);
  for (var row = start; row < end; row++) {
    let image = i32(row / shape.out_height) * shape.height;
    let iy = i32(row % shape.out_height) * shape.stride_y + i32(ky) - shape.top;
    for (var ox = 0u; ox < shape.out_width; ox += 4u) {
      var g: array<vec4f, PER_LANE>;
      for (var i = 0u; i < PER_LANE; i++) {
        let f = min(first + i * SUBGROUP, shape.filters - 1u);
        g[i] = vec4f(load_gradient(row, ox, f), load_gradient(row, ox + 1u, f),
          load_gradient(row, ox + 2u, f), load_gradient(row, ox + 3u, f));
      }
      let ix = i32(ox * STRIDE + kx + lane) - shape.left;
      for (var l = 0u; l < LINES; l++) {
        let line = iy + i32(l);
        let inside = line >= 0 && line < shape.height;
        var columns: array<f32, LOADS>;
        for (var i = 0u; i < LOADS; i++) {
          columns[i] = load((image + line) * shape.width, ix + i32(i * SUBGROUP), inside);
        }
        var window: array<f32, WINDOW>;
        for (var j = 0u; j < WINDOW; j++) { window[j] = subgroupShuffle(columns[j / SUBGROUP], j % SUBGROUP); }
        for (var t = 0u; t < TAPS; t++) {
          let pixels = vec4f(window[t], window[t + STRIDE], window[t + 2u * STRIDE], window[t + 3u * STRIDE]);
          for (var i = 0u; i < PER_LANE; i++) { sums[i][l * TAPS + t] += dot(g[i], pixels); }
        }
      }
    }
  }
  for (var i = 0u; i < PER_LANE; i++) {
    let f = first + i * SUBGROUP;
    for (var l = 0u; l < LINES; l++) {
      for (var t = 0u; t < TAPS; t++) {
        if (f < shape.filters && ky + l < shape.kernel_height && kx + t < shape.kernel_width) {
          let out = ((group.z * shape.filters + f) * shape.kernel_height + ky + l) * shape.kernel_width + kx + t;
          partial[out] = vec4f(sums[i][l * TAPS + t], 0.0, 0.0, 0.0);
        }
      }
    }
  }
}
