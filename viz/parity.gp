# Simulated against measured throughput, and the signed error of each world size.
if (!DUMB) { set multiplot layout 1,2 margins screen 0.085, 0.975, BOTTOM, TOP spacing screen 0.1 }
set title "Simulated against measured: ".MODEL
set xlabel "measured (".UNIT.")"
set ylabel "simulated (".UNIT.")"
set xrange [0:MOST / SCALE]
set yrange [0:MOST / SCALE]
if (!DUMB) {
    set xtics rotate by 0
    set object 1 polygon from 0, 0 to first MOST / SCALE, first 0.9 * MOST / SCALE \
        to first MOST / SCALE, first MOST / SCALE to first MOST / 1.1 / SCALE, first MOST / SCALE \
        to 0, 0 behind fc rgb SHADE fs solid noborder
}
plot DATA index "diagonal" using ($3 / SCALE):($6 / SCALE) with lines ls 3 \
        title DUMB ? "equal" : "equal; shaded: within 10 %", \
    for [i = 1:SEEN] DATA index "seen" using ($3 / SCALE):($6 / SCALE):($4 / SCALE):($5 / SCALE) \
        with xerrorbars ls 6 title "known to the simulation", \
    for [i = 1:HELD_OUT] DATA index "held out" \
        using ($3 / SCALE):($6 / SCALE):($4 / SCALE):($5 / SCALE) with xerrorbars ls 2 dt 1 \
        title "held out", \
    for [i = 1:!DUMB] DATA index "seen" using ($3 / SCALE):($6 / SCALE):2 with labels left \
        offset 0.8,-0.6 font ",10" notitle, \
    for [i = 1:!DUMB] DATA index "held out" using ($3 / SCALE):($6 / SCALE):2 with labels left \
        offset 0.8,-0.6 font ",10" notitle
if (!DUMB) {
    do for [i = 1:|CAPTION|] { unset label 100 + i }
    unset object 1
    set title "Error of the simulation"
    set xlabel "ranks"
    set ylabel "simulated / measured - 1 (%)"
    set xrange [-0.6:SIZES - 0.4]
    set yrange [-ERROR_MOST:ERROR_MOST]
    set xtics scale 0
    set object 2 rectangle from graph 0, first -10 to graph 1, first 10 behind fc rgb SHADE \
        fs solid noborder
    set arrow 1 from graph 0, first 0 to graph 1, first 0 nohead lc rgb INK
    plot for [i = 1:SEEN] DATA index "seen" using 1:7:(0.5):xtic(2) with boxes fc rgb GREY \
            fs solid border lc rgb INK title "known to the simulation", \
        for [i = 1:HELD_OUT] DATA index "held out" using 1:7:(0.5):xtic(2) with boxes \
            fc rgb VERMILLION fs pattern 4 border lc rgb INK title "held out", \
        for [i = 1:SEEN] DATA index "seen" using 1:7:8:9 with yerrorbars lc rgb INK pt 0 notitle, \
        for [i = 1:HELD_OUT] DATA index "held out" using 1:7:8:9 with yerrorbars lc rgb INK pt 0 \
            notitle
    unset multiplot
}
