# Loss and accuracy against steps, samples, epochs and seconds: the same runs in every panel.
panels = |AXIS|
rows = DUMB || !EVALUATED ? 1 : 2
if (DUMB) {
    panels = 1
} else {
    set multiplot layout rows, panels margins screen 64.0 / WIDTH, 1 - 16.0 / WIDTH, BOTTOM, TOP \
        spacing screen 56.0 / WIDTH, screen 52.0 / HEIGHT
    set label 1 TITLE at screen 0.5, screen 1 - 16.0 / HEIGHT center
    set key at screen 12.0 / WIDTH, screen 1 - 34.0 / HEIGHT left top maxrows 1
}
if (DUMB) { set title TITLE }
set yrange [0:*]
do for [p = 1:panels] {
    set xlabel rows == 1 ? AXIS_LABEL[p] : ""
    if (p == 1) { set ylabel "loss" } else { unset ylabel }
    plot for [r = 1:RUNS * !DUMB] DATA index sprintf("run %d", r) every EVERY using AXIS[p]:6 \
            with points ls 20 + r notitle, \
        for [r = 1:RUNS] DATA index sprintf("run %d", r) every EVERY using AXIS[p]:7 \
            with lines ls 10 + r title RUN[r]
    unset key
    unset label
}
if (rows == 2) {
    set yrange [ACCURACY_LEAST:100]
    do for [p = 1:panels] {
        set xlabel AXIS_LABEL[p]
        set xrange [0:*]
        if (p == 1) { set ylabel "held-out accuracy (%)" } else { unset ylabel }
        plot for [r = 1:RUNS] DATA index sprintf("evaluations %d", r) using AXIS[p]:(100 * $8) \
            with linespoints ls 10 + r notitle
    }
}
if (!DUMB) { unset multiplot }
