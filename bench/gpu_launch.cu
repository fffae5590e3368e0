// SPDX-License-Identifier: MIT
// What a launch costs: the host for each, and the device from one kernel's end to the next one's
// start, in a filled stream and in a graph. bench/gpu_torch.py compiles and runs it where it finds
// nvcc. Prints a JSON object a line.
#include <chrono>
#include <cstdio>
#include <cstdlib>

enum { KERNELS = 400, ROUNDS = 9 };

struct Span {
    unsigned long long first, last;  // earliest start and latest end of its blocks, ns
};

static void check(cudaError_t e, int line) {
    if (e == cudaSuccess) return;
    fprintf(stderr, "gpu_launch.cu:%d: %s\n", line, cudaGetErrorString(e));
    exit(1);
}
#define CHECK(call) check(call, __LINE__)

__device__ static unsigned long long now_ns() {
    unsigned long long t;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(t));
    return t;
}

__global__ void nothing() {}

__global__ void spin(Span *span, long long cycles) {
    unsigned long long start = now_ns();
    long long until = clock64() + cycles;
    while (clock64() < until) {}
    if (threadIdx.x) return;
    atomicMin(&span->first, start);
    atomicMax(&span->last, now_ns());
}

static double host_us() {
    using namespace std::chrono;
    return duration<double, std::micro>(steady_clock::now().time_since_epoch()).count();
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count) {
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static void launch_all(cudaStream_t stream, Span *spans, int blocks, long long cycles) {
    for (int i = 0; i < KERNELS; i++) {
        if (cycles)
            spin<<<blocks, 128, 0, stream>>>(&spans[i], cycles);
        else
            nothing<<<blocks, 128, 0, stream>>>();
    }
}

// One round: host time of a launch, device time from one kernel's start to the next one's, and the
// gap between a kernel's end and the next one's start.
static void round_of(double *issue, double *period, double *gap, cudaStream_t stream, Span *spans,
                     cudaGraphExec_t graph, int blocks, long long cycles) {
    static Span host[KERNELS];
    cudaEvent_t begin, end;
    float ms;
    for (int i = 0; i < KERNELS; i++) host[i] = {~0ull, 0};
    CHECK(cudaMemcpy(spans, host, sizeof host, cudaMemcpyHostToDevice));
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaEventRecord(begin, stream));
    double start = host_us();
    if (graph)
        CHECK(cudaGraphLaunch(graph, stream));
    else
        launch_all(stream, spans, blocks, cycles);
    *issue = (host_us() - start) / (graph ? 1 : KERNELS);
    CHECK(cudaEventRecord(end, stream));
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaGetLastError());
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    CHECK(cudaMemcpy(host, spans, sizeof host, cudaMemcpyDeviceToHost));
    *period = ms * 1e3 / KERNELS;
    *gap = 0;
    for (int i = 1; i < KERNELS && cycles; i++)
        *gap += (double)(host[i].first - host[i - 1].last) / 1e3 / (KERNELS - 1);
    CHECK(cudaEventDestroy(begin));
    CHECK(cudaEventDestroy(end));
}

int main() {
    Span *spans;
    cudaStream_t stream;
    CHECK(cudaMalloc(&spans, KERNELS * sizeof *spans));
    CHECK(cudaStreamCreate(&stream));
    const int grids[] = {1, 132 * 8};
    const long long lengths[] = {0, 30000};  // cycles: nothing, some 17 us
    for (int way = 0; way < 8; way++) {
        bool graphs = way / 4;
        int blocks = grids[way / 2 % 2];
        long long cycles = lengths[way % 2];
        cudaGraph_t graph;
        cudaGraphExec_t exec = NULL;
        if (graphs) {
            CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
            launch_all(stream, spans, blocks, cycles);
            CHECK(cudaStreamEndCapture(stream, &graph));
            CHECK(cudaGraphInstantiate(&exec, graph, 0));
        }
        double issue[ROUNDS], period[ROUNDS], gap[ROUNDS];
        for (int i = -2; i < ROUNDS; i++)
            round_of(&issue[i < 0 ? 0 : i], &period[i < 0 ? 0 : i], &gap[i < 0 ? 0 : i], stream,
                     spans, exec, blocks, cycles);
        printf("{\"part\": \"launch\", \"what\": \"%s\", \"launched\": \"%s\", \"blocks\": %d, "
               "\"issue_us\": %.3f, \"period_us\": %.3f, \"gap_us\": %.3f}\n",
               cycles ? "spin" : "nothing", graphs ? "graph" : "stream", blocks,
               median(issue, ROUNDS), median(period, ROUNDS), median(gap, ROUNDS));
        fflush(stdout);
    }
    return 0;
}
