"""What people type who come from other libraries, and what to write here instead: a literal table, checked by a test.

Each line reads `what to write: the words that people type`. What to write is the name of an entry or of an option, or else
a sentence, in which everything of the form `option=value` can be written as it stands. Of several lines with the same word
the first counts that fits the chosen config, so that a name comes before a sentence.
"""

import os.path
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

_TABLE = "your own table: data=csv data.file=FILE data.target=COLUMN"
_PICTURES = "your own pictures: data=images data.folder=FOLDER, with a folder for each class"
_TEXT = "your own text: data=text data.file=FILE model=transformer"

HINTS: dict[str, dict[str, str]] = {
    "command": {
        "train": "fit run learn start launch trainer training",
        "resume": "continue restart restore",
        "sample": "generate samples draw create dream chat write",
        "predict": "prediction predictions inference infer classify recognize recognise transform apply",
        "evaluate": "eval evaluation test score validate validation",
        "compare": "versus vs diff difference significance ttest mcnemar",
        "rerun": "repeat again redo retrain rerunning replay",
        "verify": "verification reproduce reproducible reproducibility deterministic bitwise identical same",
        "doctor": "diagnose diagnosis diagnostics health env info env_info collect_env selftest setup install",
        "runs": "ls history experiments results status ps leaderboard table log outputs",
        "tensorboard": "tb board plot plots visualize dashboard logs browser web",
        "summary": "parameters params flops macs layers model memory summarize torchinfo torchsummary size sizes",
        "data": "dataset inspect eda download fetch dataloader duplicates augmentation",
        "lr_find": "lr_finder find_lr auto_lr_find range_test tune_lr learning_rate",
        "list": "show models datasets entries describe available search zoo",
        "export": "onnx pt2 torchscript convert deploy save ship playground safetensors",
        "report": "html htm pdf page webpage handout submit handin homework publish",
        "write dlcourse train -m optimizer.lr=0.1,0.01 to try several values": (
            "sweep tune tuning grid gridsearch hyperopt optimize hpo multirun -m"
        ),
        "write dlcourse train --cfg job to see the config": "config cfg configure options settings print",
        "write dlcourse --version": "version -v",
    },
    "model": {
        "mlp": "nn ann dnn fnn ffn fcn fc dense net network neuralnet feedforward fully_connected multilayer"
        " mlpclassifier mlpregressor multilayer_perceptron deep",
        "linreg": "linear_regression linearregressor ols leastsquares",
        "logreg": "logistic logistic_regression logit logisticregressor",
        "softmax": "softmax_regression multinomial",
        "cnn": "conv convnet conv2d cnn2d convolutional convolution simplecnn",
        "rnn": "simple_rnn vanilla_rnn elman recurrent rnncell",
        "autoencoder": "ae auto_enc dae",
        "vae": "variational variational_autoencoder cvae vqvae",
        "gan": "generator adversarial",
        "diffusion": "denoising score stable_diffusion noise",
        "policy_and_value": "actor_critic a2c",
        "bag": "bow bag_of_words",
        "embedding": "embeddings word2vec skipgram",
        "write model=linreg for numbers, model=softmax for classes": "linear lin lm affine regression",
        "write model=logreg, or model=mlp for hidden layers": "perceptron classifier single_layer",
        "write model=linreg optimizer.weight_decay=0.01": "ridge lasso elasticnet",
        "the nearest is model=cnn model.channels=[6,16] model.kernel=5 model.head=[120,84]": "lenet lenet5",
        "write model=torchvision model.arch=resnet18": "resnet18",
        "write model=torchvision model.arch=resnet34": "resnet34",
        "write model=torchvision model.arch=resnet50": "resnet50",
        "write model=torchvision model.arch=resnet101": "resnet101",
        "write model=torchvision model.arch=resnet152": "resnet152",
        "write model=torchvision model.arch=alexnet": "alexnet",
        "write model=torchvision model.arch=vgg11": "vgg vgg11",
        "write model=torchvision model.arch=vgg13": "vgg13",
        "write model=torchvision model.arch=vgg16": "vgg16",
        "write model=torchvision model.arch=vgg19": "vgg19",
        "write model=torchvision model.arch=wide_resnet50_2": "wideresnet wrn wide_resnet50_2",
        "write model=torchvision model.arch=densenet121": "densenet densenet121",
        "write model=torchvision model.arch=resnext50_32x4d": "resnext resnext50 resnext50_32x4d",
        "write model=torchvision model.arch=efficientnet_b0": "efficientnet efficientnet_b0",
        "write model=torchvision model.arch=mobilenet_v2": "mobilenetv2",
        "write model=torchvision model.arch=mobilenet_v3_small": "mobilenet mobilenetv3 mobilenet_v3_small",
        "write model=torchvision model.arch=inception_v3": "inception inception_v3",
        "write model=torchvision model.arch=googlenet": "googlenet",
        "write model=torchvision model.arch=convnext_tiny": "convnext convnext_tiny",
        "write model=torchvision model.arch=squeezenet1_1": "squeezenet",
        "write model=torchvision model.arch=shufflenet_v2_x1_0": "shufflenet",
        "write model=torchvision model.arch=swin_t": "swin swin_t",
        "write model=torchvision model.arch=vit_b_16": "vit_b_16",
        "write model=resnet model.depth=20": "resnet20",
        "write model=resnet model.depth=32": "resnet32",
        "write model=resnet model.depth=44": "resnet44",
        "write model=resnet model.depth=56": "resnet56",
        "write model=resnet model.depth=110": "resnet110",
        "write model=diffusion model.arch=unet for the one that removes noise": "unet segnet",
        "write model=lstm model.bidirectional=true": "bilstm blstm",
        "write model=gru model.bidirectional=true": "bigru",
        "write experiment=gpt_cpu, or model=transformer with other text": (
            "gpt gpt1 gpt2 gpt3 gpt4 chatgpt nanogpt mingpt llama llm mistral decoder causal language_model"
        ),
        "the nearest is model=transformer, trained from scratch: there are no pretrained weights for text": (
            "bert roberta distilbert t5 encoder attention self_attention transformers seq2seq"
        ),
        "write model=transformer model.patch=4 for images": "vit vision_transformer deit",
        "write model=gan model.arch=conv": "dcgan stylegan",
        "write model=gan task.loss=wasserstein": "wgan wgangp",
        "write model=gan model.conditional=true": "cgan conditional_gan acgan",
        "write model=vae task.beta=4": "betavae",
        "write model=diffusion task.sampler=ddpm": "ddpm",
        "write model=diffusion task.sampler=ddim": "ddim",
        "it is not trained by gradient descent, so it is not here; scikit-learn has it": (
            "knn kneighbors kneighborsclassifier kneighborsregressor nearest_neighbors k_nearest_neighbors kmeans"
            " svm svc svr tree decision_tree decisiontreeclassifier forest random_forest randomforestclassifier"
            " randomforestregressor rf xgboost xgb lightgbm lgbm catboost gradient_boosting boosting naive_bayes"
            " gaussiannb pca gaussian_process gp tsne"
        ),
        "there are no networks for graphs here": "gnn gcn gat graph graphsage",
    },
    "data": {
        "cartpole": "cartpole_v1 cartpole_v0 gym gymnasium inverted_pendulum",
        "cliff": "cliff_walking cliffwalking_v0 cliff_walk",
        "grid_world": "maze frozen_lake",
        "tic_tac_toe": "noughts_and_crosses",
        "digits": "load_digits sklearn_digits optdigits 8x8",
        "fashion_mnist": "fmnist clothes zalando",
        "kmnist": "kuzushiji kuzushiji_mnist",
        "tinyshakespeare": "shakespeare bard",
        "breast_cancer": "cancer load_breast_cancer wdbc",
        "iris": "load_iris flowers",
        "wine": "load_wine wines",
        "diabetes": "load_diabetes",
        "moons": "make_moons twomoons half_moons",
        "circles": "make_circles rings",
        "blobs": "make_blobs gaussians clusters",
        "spirals": "two_spirals swiss_roll",
        "line": "linear make_regression",
        "svhn": "street_view_house_numbers housenumbers",
        "emnist": "letters extended_mnist",
        "the nearest are data=mnist, data=kmnist, data=emnist and data=fashion_mnist": "qmnist usps",
        f"the nearest are data=cifar10 and data=cifar100; {_PICTURES}": "stl10 tinyimagenet cinic10",
        _PICTURES: (
            "imagenet celeba coco caltech101 flowers102 cats_dogs dogs_vs_cats food101 pets photos pictures"
            " imagefolder folder image png jpg jpeg"
        ),
        f"the nearest is data=diabetes; {_TABLE}": (
            "boston california california_housing housing house_prices houses fetch_california_housing auto_mpg"
        ),
        _TABLE: "titanic penguins adult heart pima table tabular tsv excel xlsx pandas dataframe sql kaggle",
        _TEXT: "wikitext wikitext2 wikitext103 ptb enwik8 text8 imdb ag_news openwebtext txt novel book",
        "your own arrays: data=npz data.file=FILE": "numpy npy array arrays tensor",
    },
    "features": {
        "random": "rff random_fourier random_fourier_features rbf_sampler elm kitchen_sinks",
        "pca": "principal_components principal_component_analysis svd whitening whiten truncated_svd",
        "none": "null off no raw identity false",
        "standard": "standardize standardise standardscaler scaler scale zscore normalize normalise minmax",
        "polynomial": "polynomialfeatures polynomials quadratic cubic",
    },
    "task": {
        "classification": "classify classifier class multiclass binary ce cross_entropy bce nll logistic",
        "regression": "regress regressor value values",
        "language": "lm language_modeling languagemodel text next_token gpt causal_lm",
        "reconstruction": "autoencoding autoencoder ae reconstruct",
        "variational": "vae elbo",
        "adversarial": "gan",
        "diffusion": "ddpm denoising",
        "q_learning": "dqn deep_q_learning ql sarsa expected_sarsa td reinforcement_learning",
        "policy_gradient": "reinforce pg vpg",
        "actor_critic": "a2c a3c ac",
        "monte_carlo": "mc",
        "self_play": "alphago alphazero negamax",
        "seq2seq": "translation sequence sequence_to_sequence s2s",
        "write task=regression task.loss=mse": "mse l2 squared mse_loss",
        "write task=regression task.loss=nll": "gaussian_nll likelihood mle maximum_likelihood",
        "least_squares": "lstsq ols normal_equation normal_equations closed_form pinv ridge pseudoinverse",
        "write task=regression task.loss=mae": "mae l1 absolute l1_loss",
        "write task=regression task.loss=huber": "huber smooth_l1",
        "write model=vae, model=gan or model=diffusion, which bring their tasks": "generation generative generate",
        "there is no such task here; task=classification takes whole images": (
            "segmentation detection object_detection multilabel clustering rl reinforcement"
        ),
    },
    "optimizer": {
        "sgd": "vanilla stochastic minibatch",
        "momentum": "sgdm sgd_momentum heavyball polyak",
        "adam": "nadam radam adamax amsgrad",
        "adamw": "lion lamb adafactor muon adabelief sophia",
        "write optimizer=momentum optimizer.nesterov=true": "nesterov nag",
        "write optimizer=sgd trainer=full_batch": "gd gradient_descent batch_gd bgd full_batch",
        "only first-order methods are here; write optimizer=adam": "lbfgs bfgs newton cg rprop shampoo liblinear",
    },
    "scheduler": {
        "constant": "none null off no fixed const constantlr lambda flat false",
        "cosine": "cos cosineannealing cosineannealinglr annealing",
        "one_cycle": "onecyclelr 1cycle cyclic cycliclr super_convergence cosine_warmup warmup_cosine"
        " cosine_with_warmup",
        "step": "steplr multistep multisteplr piecewise exponential exponentiallr exp decay steps",
        "warmup": "linear_warmup constant_with_warmup",
        "no schedule here watches the validation loss; the nearest are scheduler=step and scheduler=cosine": (
            "plateau reducelronplateau reduceonplateau reduce adaptive"
        ),
        "scheduler=cosine falls to zero too, scheduler=warmup rises along a line": (
            "linear linearlr polynomial poly inverse_sqrt invsqrt noam sqrt"
        ),
    },
    "device": {
        "mps": "metal apple m1 m2 m3 m4",
        "device=auto takes a GPU if there is one; device=cuda and device=mps insist on one": (
            "gpu gpus nvidia cudnn rocm amd 0 1 accelerator true"
        ),
        "write device=cuda device.index=0": "cuda:0 cuda0 gpu0 gpu:0",
        "write device=cuda device.index=1": "cuda:1 cuda1 gpu1 gpu:1",
        "TPUs are not supported; device=auto takes the best device there is": "tpu xla tpus",
    },
    "trainer": {
        "full_batch": "full batch gd gradient_descent",
        "small_data": "small tiny few",
        "default": "standard normal minibatch none null",
        "write trainer.epochs=1 for a short training, debug=fast for one batch": "fast quick short debug test",
        "write trainer.patience=5": "early_stopping",
    },
    "experiment": {
        "gpt_cpu": "gpt2 nanogpt mingpt transformer shakespeare tinyshakespeare language",
        "vae_mnist": "autoencoder beta_vae",
        "cifar10_fast": "resnet9 resnet cifar",
        "linreg_line": "linear_regression linreg",
        "logreg_breast_cancer": "logistic_regression logreg",
    },
    "option": {
        "write debug=fast to run one batch of everything": "fast_dev_run dry_run dryrun smoke_test sanity_check",
        "write debug=overfit to learn one batch by heart": "overfit overfit_batches overfit_batch overfit_single_batch",
        "write debug=profile to see what takes the time": "profile profiler profiling",
        "model": "net network nn estimator classifier backbone models arch architecture",
        "data": "dataset datasets ds",
        "optimizer": "optim opt solver optimizers optimiser",
        "scheduler": "lr_scheduler lr_schedule sched lrscheduler schedule",
        "device": "gpu gpus cuda use_cuda use_gpu no_cuda ngpu accelerator devices",
        "features": "preprocessing preprocess scaler normalize normalise standardize standardise feature poly",
        "experiment": "preset recipe exp config config_file cfg",
        "task.loss": "loss loss_fn criterion objective loss_function",
        "for numbers write task=regression task.loss=mse (mae, huber, nll), for classes task=classification task.loss=mse": (
            "loss loss_fn criterion objective loss_function"
        ),
        "optimizer.lr": "learning_rate learningrate learning_rate_init rate base_lr max_lr initial_lr lr0 eta eta0",
        "optimizer.weight_decay": "wd l2 weightdecay decay l2_reg regularization reg l2_penalty lambda",
        "optimizer.momentum": "momentum",
        "optimizer.nesterov": "nesterov",
        "write optimizer=momentum, or optimizer=sgd optimizer.momentum=0.9": "momentum",
        "write optimizer=momentum optimizer.nesterov=true": "nesterov",
        "optimizer.beta1": "b1 beta_1 betas",
        "optimizer.beta2": "b2 beta_2",
        "optimizer.eps": "epsilon adam_epsilon",
        "task.steps": "steps timesteps num_timesteps diffusion_steps",
        "trainer.time": "max_time time_limit max_minutes minutes seconds hours duration budget",
        "trainer.epochs": "max_epochs num_epochs n_epochs nb_epochs nepochs epoch num_train_epochs epochs_num max_iter"
        " max_iters n_iter iterations iters max_steps num_steps n_steps steps total_steps",
        "trainer.batch_size": "bs batch batchsize minibatch mini_batch minibatch_size mini_batch_size train_batch_size"
        " per_device_train_batch_size device_batch_size",
        "trainer.eval_batch_size": "per_device_eval_batch_size val_batch_size test_batch_size valid_batch_size",
        "trainer.patience": "early_stopping early_stop earlystopping early_stopping_patience n_iter_no_change es",
        "trainer.clip_norm": "clip grad_clip gradient_clip gradient_clip_val clip_grad clip_grad_norm max_grad_norm"
        " clipnorm max_norm gradient_clipping",
        "trainer.accumulate": "accumulate_grad_batches gradient_accumulation_steps gradient_accumulation grad_accum"
        " accumulation",
        "trainer.eval_every": "val_every check_val_every_n_epoch eval_interval eval_freq eval_steps val_interval"
        " evaluation_strategy validate_every",
        "trainer.log_every": "log_every_n_steps logging_steps log_interval log_freq print_every",
        "trainer.weights": "save_best save_best_only restore_best_weights load_best_model_at_end keep_best",
        "trainer.checkpoint.steps": "save_every save_steps save_interval checkpoint_every every_n_train_steps",
        "trainer.checkpoint.keep": "save_top_k save_total_limit keep_last",
        "model.layers": "num_layers n_layers n_layer nlayers num_hidden_layers depth blocks n_blocks num_blocks",
        "model.depth": "num_layers n_layers n_layer layers num_hidden_layers",
        "model.hidden": "hidden_size hidden_sizes hidden_dim hidden_dims hidden_units hidden_layers hidden_layer_sizes"
        " n_hidden num_hidden units num_units layer_sizes neurons nhid"
        " num_layers n_layers n_layer layers depth num_hidden_layers",
        "model.width": "d_model n_embd embed_dim embedding_dim hidden_size hidden_dim dim n_embed",
        "model.embedding": "embed_dim embedding_dim embedding_size hidden_size",
        "model.head": "hidden_size hidden_sizes hidden_dim hidden_units hidden_layers fc dense units",
        "model.heads": "n_head n_heads num_heads nhead attention_heads num_attention_heads",
        "model.feedforward": "ffn_dim d_ff dim_feedforward mlp_ratio",
        "model.channels": "filters num_filters n_filters out_channels feature_maps num_channels n_channels conv_channels"
        " num_layers n_layers n_layer layers depth num_hidden_layers",
        "model.kernel": "kernel_size ksize filter_size",
        "model.patch": "patch_size",
        "model.latent": "latent_dim latent_size z_dim nz code_size zdim bottleneck n_latent",
        "model.dropout": "drop drop_rate dropout_rate dropout_prob drop_prob pdrop",
        "model.norm": "batchnorm batch_norm bn layernorm layer_norm norm_layer use_bn",
        "model.activation": "act act_fn activation_fn activation_function nonlinearity act_layer",
        "data.context": "block_size seq_len seq_length sequence_length context_length context_size max_length max_len bptt",
        "data.length": "seq_len seq_length sequence_length max_length max_len",
        "data.root": "data_dir data_path datadir dataroot data_root dataset_path dataset_dir path",
        "data.folder": "data_dir data_path image_folder images_dir folder_path path dir",
        "data.file": "data_path file_path filename csv_file csv path file_name",
        "data.target": "target_column label_column label_col target_col y label labels",
        "data.val_fraction": "val_split validation_split val_size valid_size validation_fraction val_ratio valid_pct",
        "data.test_fraction": "test_split test_size test_ratio",
        "data.k_fold": "n_splits n_folds num_folds folds kfold k_folds cv cross_validation cross_val",
        "data.subset": "num_samples n_samples max_samples limit limit_train_batches max_train_samples train_size",
        "data.size": "n_samples num_samples",
        "data.augment": "augmentation augmentations aug transforms transform data_augmentation",
        "data.augment.cutout": "cut_out random_erasing erasing",
        "data.augment.policy": "auto_augment rand_augment randaugment autoaugment trivialaugment augment_policy",
        "write data=images data.augment.policy=randaugment (autoaugment, trivial)": (
            "auto_augment rand_augment randaugment autoaugment trivialaugment augment_policy"
        ),
        "data.resize": "img_size image_size imgsz input_size size",
        "data.workers": "num_workers n_workers dataloader_num_workers loader_workers",
        "only data=images data.workers=2 reads in other processes": (
            "num_workers n_workers workers dataloader_num_workers loader_workers"
        ),
        "the number of classes comes from the data": "num_classes n_classes nclass num_labels",
        "task.label_smoothing": "label_smooth smoothing",
        "task.top_k": "topk k",
        "task.monitor": "metric metrics metric_for_best_model scoring",
        "seed": "random_state random_seed manual_seed rng_seed seed_everything rng",
        "device.threads": "num_threads n_threads n_jobs cpus cores nthreads",
        "device.precision": "fp16 bf16 amp mixed_precision dtype half autocast",
        "device.deterministic": "cudnn_deterministic reproducible",
        "run.root": "output_dir out_dir outdir save_dir savedir log_dir logdir logging_dir default_root_dir output save_path"
        " results_dir workdir out",
        "run.name": "name run_name exp_name experiment_name wandb_name",
        "run.tags": "tag wandb_tags notes note",
        "model.arch": "model_name arch_name architecture_name",
        "model.weights": "pretrained pretrained_weights imagenet",
        "init_from": "pretrained checkpoint ckpt ckpt_path load_from init init_weights from_pretrained finetune warm_start",
        "freeze": "frozen freeze_layers freeze_backbone",
        "report": "plots plot plotting save_plots no_plots pictures figures draw",
        "write dlcourse resume RUN": "resume_from resume_from_checkpoint continue_from restore",
        "scheduler.epochs": "warmup warmup_steps warmup_epochs num_warmup_steps warmup_ratio",
        "write scheduler=warmup scheduler.epochs=1": "warmup warmup_steps warmup_epochs num_warmup_steps warmup_ratio",
        "scheduler.gamma": "gamma lr_decay decay_rate lr_gamma factor",
        "write scheduler=step scheduler.gamma=0.1": "gamma lr_decay decay_rate lr_gamma factor",
        "scheduler.every": "step_size decay_steps lr_step",
        "give it to dlcourse sample RUN: --temperature 0.8, --prompt TEXT": "temperature prompt max_new_tokens top_p",
    },
}

_FILES = {
    ".csv": "write data=csv data.file={file} data.target=COLUMN",
    ".tsv": "write data=csv data.file={file} data.target=COLUMN data.separator=tab",
    ".npz": "write data=npz data.file={file}",
    ".txt": "write data=text data.file={file} model=transformer",
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".parquet"), f"save it as CSV; {_TABLE}"),
    **dict.fromkeys((".png", ".jpg", ".jpeg"), _PICTURES),
    **dict.fromkeys(
        (".yaml", ".yml"),
        "a config file is chosen by its name: --config-dir DIR {group}={stem} takes DIR/{group}/{stem}.yaml",
    ),
}


def hints(kind: str, word: str) -> Iterator[str]:
    """What may be typed instead of `word`, if something of this kind is expected: the key of a table above."""
    if kind in HINTS:
        yield from _BY_WORD[kind].get(plain(word), ())
    if kind not in ("", "command", "option"):
        yield from file_hints(word, kind)


def file_hints(word: str, group: str = "experiment") -> Iterator[str]:
    """How to give a file or a folder that was typed where a name, or a name of `group`, is expected."""
    path = Path(word)
    if path.suffix in (".yaml", ".yml"):
        yield path.stem
    if text := _FILES.get(path.suffix.lower()):
        yield text.format(file=shlex.quote(word), group=group, stem=path.stem)
    elif group == "data" and (word.endswith("/") or os.path.isdir(word)):  # noqa: PTH112 - no error for a name that is too long
        yield f"write data=images data.folder={shlex.quote(word)} for pictures, with a folder for each class"


def plain(word: str) -> str:
    """The word without what people spell differently: case, and the signs between its parts."""
    return re.sub(r"[-_ ]", "", word).casefold()


def _by_word(table: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for hint, words in table.items():
        for word in words.split():
            found.setdefault(plain(word), []).append(hint)
    return found


_BY_WORD = {kind: _by_word(table) for kind, table in HINTS.items()}
