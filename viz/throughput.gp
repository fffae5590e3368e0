# Throughput against ranks: ideal, single runs, medians with intervals.
set title TITLE
set xlabel "ranks".(LOG ? " (log scale)" : "")
set ylabel "throughput (".UNIT.")".(LOG ? ", log scale" : "")
if (LOG) {
    set logscale x 2
    set logscale y
} else {
    set yrange [0:*]
}
set xrange [XMIN:XMAX]
eval "set xtics (".XTICS.")"
if (SHADE_FROM > 0 && !DUMB) {
    set object 1 rectangle from SHADE_FROM, graph 0 to graph 1, graph 1 behind fc rgb SHADE \
        fs solid noborder
    set label 1 "ranks share cores" at graph 0.985, graph 0.03 right font ",10" tc rgb GREY
}
plot DATA index "ideal" using 2:($3 / SCALE) with lines ls 3 title "ideal", \
    for [i = 1:MEASURED] DATA index "runs measured" using 2:($3 / SCALE) with points ls 4 notitle, \
    for [i = 1:SIMULATED] DATA index "runs simulated" using 2:($3 / SCALE) with points ls 5 notitle, \
    for [i = 1:MEASURED] DATA index "measured" using 2:($3 / SCALE):($4 / SCALE):($5 / SCALE) \
        with yerrorlines ls 1 title "measured", \
    for [i = 1:SIMULATED] DATA index "simulated" using 2:($3 / SCALE):($4 / SCALE):($5 / SCALE) \
        with yerrorlines ls 2 title "simulated"
