// SPDX-License-Identifier: MIT
// Many predictions that do not depend on each other, spread over threads. What is kept of each is a
// few numbers, so that memory does not grow with reports; the results do not depend on how many
// threads there are.
#ifndef SIM_POINTS_H
#define SIM_POINTS_H

#include "sim/predict.h"

typedef enum { POINT_OPEN, POINT_DONE, POINT_REFUSED } PointState;

// One of them. Numbers are of a step; NaN: not known.
typedef struct {
    PointState state;
    char why[STATUS_TEXT];  // of one that is refused
    int ranks;
    int64_t batch;
    double step_ms, samples_per_s, tokens_per_s, mfu, comm_ms;
    double parts_ms[REPORT_PARTS];       // of the step, as answers_part_ms()
    int64_t memory_bytes, device_bytes;  // planned on the rank that needs most; 0: not known
    int64_t class_bytes[MEMORY_COUNT];   // the same by class
    int data_ranks;                      // that hold other samples
    int operations, estimated;  // of all classes of ranks: that compute; without a measured cost
    bool is_short;              // the numbers are those of shorter plans, extended
} Point;

// Does its memory fit the device? True when that is not known.
bool point_fits(const Point *p);

// Is it an error of this point alone, such as options that do not suit its number of ranks?
bool point_is_refused(Status s);

// The numbers of a prediction; it is done.
void point_take(Point *out, const Prediction *p);

// What predict_job() is asked. Everything is borrowed from the arena or lives longer.
typedef struct {
    const SimJob *job;
    SimSetting setting;  // its watch is set by points_run()
} PointInput;

// Where points come from and who follows them.
typedef struct {
    void *context;
    // What point i simulates; called from several threads at once. What
    // point_is_refused() names refuses this point, any other error all.
    Status (*make)(void *context, PointInput *out, Arena *a, int i);
    // From the thread that called: the first `ended` points have ended, and of all `all_ended`.
    // NULL: nobody follows.
    void (*follow)(void *context, int ended, int all_ended);
    bool (*go_on)(void *context);  // from any thread; false: stop. NULL: to the end
    // In place of make(): all of point i, with that watch for what is simulated.
    Status (*measure)(void *context, Point *out, Arena *a, int i, const SimulateWatch *watch);
} PointWork;

// Make `count` points on that many threads, 0: one. ERR_INTERRUPTED when go_on() says no; then, and
// on any error, those that ended before are kept, and the others are POINT_OPEN. Of several errors
// the one of the first point is reported.
Status points_run(Point *points, int count, int threads, const PointWork *work) MUST_USE;

#endif
