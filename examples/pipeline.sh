#!/usr/bin/env bash
# From a ranking to a trained student, on what ships with zcbench:
#
#     examples/pipeline.sh [FOLDER]
#
# 1. bench:   score the networks whose accuracies ship, rank the proxies, write the report
# 2. rank:    hold the same scores against the accuracies under a teacher alone
# 3. search:  look through the whole space for what MACs and the three best proxies prefer, given a budget of parameters
# 4. distill: train what was found under a ResNet-20, with the two distillation losses that the ranking puts first
#
# Each command goes on where it was when the script is run again. The images are those of CIFAR-10 that the accuracies
# come from where ZCBENCH_DATA has them, else scikit-learn's digits. The variables below make it smaller or larger.
set -euo pipefail

out="${1:-runs/pipeline}"
zcbench="${ZCBENCH:-zcbench}"
archs="${ARCHS:-all}"             # architectures to score, of those whose accuracies ship
proxies="${PROXIES:-all}"
evaluations="${EVALUATIONS:-200}" # of the search
epochs="${EPOCHS:-15}"            # of the student
quick="${QUICK:-}"                # more options of bench, such as "--draws 50 --formats png"

truth=nasbench201/cifar10-16
space="nasbench201(channels=8,cells=1)"
images="${IMAGES:-digits(side=16)}"
folder="${ZCBENCH_DATA:-}/cifar-10-batches-py"
if [ -z "${IMAGES:-}" ] && [ -f "$folder/data_batch_1" ] && [ -f "$folder/test_batch" ]; then
  images="cifar10(files=1,side=16)"
fi

echo "1. bench"
$zcbench bench --subset known --archs "$archs" --proxies "$proxies" --dataset "$images" --out "$out/bench" $quick

echo "2. rank"
$zcbench rank "$out/bench" --truth "$truth/kd" --out "$out"

echo "3. search"
$zcbench search --space "$space" --proxies "macs,top:3@$out:given_params" --max-params 50k \
  --evaluations "$evaluations" --dataset "$images" --formats png --out "$out/search"

echo "4. distill"
$zcbench distill --student "$out/search/search.json" --teacher resnet:resnet20 --distillers "top:2@$out" \
  --weights balanced --dataset "$images" --epochs "$epochs" --batch-size 64 --augmentation none --out "$out/student"
